"""One partition's work: who is looked up, who waits, what may be committed."""

from collections.abc import Mapping, Sequence

from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Place
from tidewire_router.core.lookups import LookupCache
from tidewire_router.core.partition import PartitionWork, Plan, Route
from tidewire_router.core.remembered import Remembered
from tidewire_router.core.waiting import WaitingLimits, WaitingRoom
from unit.router.routing import NOW_MS, letter, place

TTL = 5.0


class Desk:
    """A partition's work with what it stands on."""

    def __init__(self, *, max_letters: int = 100) -> None:
        self.cache = LookupCache(ttl=TTL, max_users=100)
        self.room = WaitingRoom(WaitingLimits(max_letters=max_letters))
        self.work = PartitionWork(0, self.cache, self.room, Remembered(100))
        self.now = 0.0

    def turn(
        self,
        letters: Sequence[Letter],
        next_offset: int | None,
        places: Mapping[str, Sequence[Place]] | None,
        *,
        now_ms: int = NOW_MS,
    ) -> tuple[Sequence[str], Plan | None]:
        """A batch, from its taking to its end; ``places`` is what the registry knows, None: it is away."""
        self.work.take(letters, next_offset)
        asked = self.work.users_to_look_up(self.now)
        answers = None
        if places is not None:
            answers = {user: tuple(places.get(user, ())) for user in asked}
            self.cache.put(answers.items(), self.now)
        plan = self.work.plan(answers, now_ms=now_ms)
        if plan is not None:
            self.work.finish(plan)
        return asked, plan


def routed(plan: Plan | None) -> list[tuple[int, list[str]]]:
    assert plan is not None
    return [(x.offset, [p.node for p in places]) for x, places in plan.routes]


def test_a_user_is_looked_up_once_and_then_known_for_a_time() -> None:
    desk = Desk()
    places = {"ann": [place("n1")]}

    asked, plan = desk.turn([letter("ann", 0), letter("bob", 1), letter("ann", 2)], 3, places)
    assert asked == ("ann", "bob")
    assert routed(plan) == [(0, ["n1"]), (1, []), (2, ["n1"])]

    desk.now = TTL - 0.1
    asked, plan = desk.turn([letter("ann", 3), letter("bob", 4)], 5, places)
    assert asked == ()
    assert routed(plan) == [(3, ["n1"]), (4, [])]

    desk.now = TTL
    assert desk.turn([letter("ann", 5)], 6, places)[0] == ("ann",)


def test_unknown_users_wait_while_the_registry_is_away_and_hold_the_watermark() -> None:
    desk = Desk()
    desk.turn([letter("ann", 0)], 1, {"ann": [place("n1")]})

    _, plan = desk.turn([letter("ann", 1), letter("bob", 2), letter("ann", 3)], 4, None)

    assert routed(plan) == [(1, ["n1"]), (3, ["n1"])]
    assert plan is not None
    assert [x.offset for x in plan.waiting] == [2]
    assert desk.work.watermark == 2
    assert desk.work.has_unconfirmed


def test_once_the_registry_answers_the_waiting_go_first_and_the_watermark_follows() -> None:
    desk = Desk()
    desk.turn([letter("bob", 0)], 1, None)
    assert desk.work.watermark == 0

    asked, plan = desk.turn([letter("bob", 1)], 2, {"bob": [place("n2")]})

    assert asked == ("bob",)
    assert routed(plan) == [(0, ["n2"]), (1, ["n2"])]
    assert desk.work.watermark == 2
    assert not desk.work.has_unconfirmed
    assert len(desk.room) == 0


def test_a_letter_never_overtakes_one_of_its_user_that_waits() -> None:
    desk = Desk()
    desk.turn([letter("bob", 0)], 1, None)
    desk.cache.put([("bob", (place("n2"),))], desk.now)

    _, plan = desk.turn([letter("bob", 1)], 2, None)

    assert routed(plan) == []
    assert [x.offset for x in desk.room.letters(0)] == [0, 1]


def test_letters_that_went_by_old_knowledge_are_caught_up_before_newer_ones() -> None:
    desk = Desk()
    desk.turn([letter("ann", 0)], 1, {"ann": [place("n1")]})
    desk.now = TTL + 1
    _, away = desk.turn([letter("ann", 1), letter("ann", 2)], 3, None)
    assert away is not None
    assert away.stale == [
        Route(letter("ann", 1), (place("n1"),)),
        Route(letter("ann", 2), (place("n1"),)),
    ]
    assert (
        desk.work.watermark == 1
    )  # who has the partition next knows nothing of what is to be caught up

    asked, plan = desk.turn([letter("ann", 3)], 4, {"ann": [place("n1"), place("n2")]})

    assert asked == ("ann",)
    assert plan is not None
    assert plan.catch_ups == [("ann", 1, 2, [place("n2")])]
    assert routed(plan) == [(3, ["n1", "n2"])]
    assert desk.work.watermark == 4
    assert not desk.work.has_unconfirmed


def test_where_no_more_may_wait_nothing_of_the_batch_is_routed() -> None:
    desk = Desk(max_letters=2)
    desk.turn([letter("bob", 0)], 1, None)

    _, plan = desk.turn([letter("cid", 1), letter("dan", 2)], 3, None)

    assert plan is None
    assert desk.work.watermark == 0
    assert len(desk.room) == 1
    answers = {user: (place("n1"),) for user in desk.work.users_to_look_up(desk.now)}
    assert routed(desk.work.plan(answers, now_ms=NOW_MS)) == [(0, ["n1"]), (1, ["n1"]), (2, ["n1"])]


def test_what_waited_for_too_long_is_expired() -> None:
    desk = Desk()
    desk.turn([letter("bob", 0), letter("bob", 1)._replace(expires_at_ms=NOW_MS + 10)], 2, None)

    _, plan = desk.turn([], None, {}, now_ms=NOW_MS + 10)

    assert routed(plan) == [(0, [])]
    assert plan is not None
    assert plan.expired == 1
    assert desk.work.watermark == 2


def test_nothing_of_a_batch_is_settled_before_it_is_finished() -> None:
    desk = Desk()
    desk.work.take([letter("ann", 0)], 1)
    desk.work.users_to_look_up(desk.now)
    plan = desk.work.plan({"ann": ()}, now_ms=NOW_MS)

    assert desk.work.watermark is None
    assert plan is not None
    desk.work.finish(plan)
    assert desk.work.watermark == 1


def test_a_partition_that_is_let_go_leaves_room_to_the_others() -> None:
    desk = Desk(max_letters=1)
    desk.turn([letter("bob", 0)], 1, None)

    desk.work.let_go()

    assert desk.room.has_room([letter("cid", 1)])
    assert not desk.work.has_unconfirmed
