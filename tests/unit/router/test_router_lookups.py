from hypothesis import given
from hypothesis import strategies as st

from tidewire_router.core.lookups import LookupCache
from tidewire_router.core.remembered import Remembered
from tidewire_router.core.waiting import WaitingLimits, WaitingRoom
from unit.router.routing import letter, place


def test_an_answer_is_fresh_for_its_ttl_from_the_asking_on() -> None:
    cache = LookupCache(ttl=5.0, max_users=10)
    cache.put([("ann", (place("n1"),))], asked_at=100.0)

    assert cache.fresh("ann", 104.9) == (place("n1"),)
    assert cache.fresh("ann", 105.0) is None
    assert cache.last("ann") == (place("n1"),)


def test_nowhere_is_an_answer_like_any_other() -> None:
    cache = LookupCache(ttl=5.0, max_users=10)
    cache.put([("ann", ())], asked_at=0.0)

    assert cache.fresh("ann", 1.0) == ()
    assert cache.fresh("bob", 1.0) is None
    assert cache.last("bob") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40))
def test_the_cache_holds_the_users_that_were_used_last(uses: list[tuple[str, bool]]) -> None:
    cache = LookupCache(ttl=1e9, max_users=3)
    used: list[str] = []
    for user, is_answer in uses:
        if is_answer:
            cache.put([(user, ())], asked_at=0.0)
        if is_answer or cache.fresh(user, 1.0) is not None:
            used = [*(other for other in used if other != user), user][-3:]

    assert {user for user in "abcdef" if cache.last(user) is not None} == set(used)
    assert len(cache) == len(used)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2), st.integers(1, 5)),
            st.tuples(st.integers(0, 2), st.none()),
        ),
        max_size=30,
    )
)
def test_the_waiting_room_never_holds_more_than_it_may(
    steps: list[tuple[int, int | None]],
) -> None:
    limits = WaitingLimits(max_letters=8, max_bytes=60)
    room = WaitingRoom(limits)
    held: dict[int, list[int]] = {}
    offset = 0
    for partition, size in steps:
        if size is None:
            room.clear(partition)
            held.pop(partition, None)
            continue
        letters = [letter("u", offset + n, data=b"x" * 10) for n in range(size)]
        offset += size
        before = sum(map(len, held.values()))
        assert room.has_room(letters) == (before + size <= 6)  # 60 bytes
        if room.has_room(letters):
            room.add(partition, letters)
            held.setdefault(partition, []).extend(x.offset for x in letters)
    assert len(room) == sum(map(len, held.values()))
    for partition in range(3):
        waiting = held.get(partition, [])
        assert [x.offset for x in room.letters(partition)] == waiting
        assert room.first(partition) == (waiting[0] if waiting else None)
        assert room.is_waiting(partition, "u") == bool(waiting)


def test_a_place_that_had_every_letter_has_nothing_to_catch_up() -> None:
    remembered = Remembered(10)
    remembered.note(letter("ann", 3), [place("n1"), place("n2")])
    remembered.note(letter("ann", 5), [place("n1")])

    assert remembered.catch_up("ann", [place("n1")]) is None
    assert remembered.catch_up("bob", [place("n1")]) is None
    due = remembered.catch_up("ann", [place("n1"), place("n2"), place("n1", "younger")])
    assert due == ("ann", 3, 5, [place("n2"), place("n1", "younger")])


def test_a_letter_that_no_mailbox_has_cannot_be_routed_again() -> None:
    remembered = Remembered(10)
    remembered.note(letter("ann", 3, is_kept=False), [])

    assert remembered.users() == ()


def test_beyond_its_bound_the_first_user_is_forgotten_and_counted() -> None:
    remembered = Remembered(2)
    for offset, user in enumerate(["ann", "bob", "cid"]):
        remembered.note(letter(user, offset), [])

    assert remembered.users() == ("bob", "cid")
    assert remembered.forgotten == 1
