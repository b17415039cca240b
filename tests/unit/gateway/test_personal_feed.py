"""`@me` of one connection, whatever the inbox loses, doubles or disorders: nothing is lost, nothing comes twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tidewire.targeting.mailboxes import Page
from tidewire.targeting.messages import Letter
from tidewire_gateway.core.personal_feed import Part, PersonalFeed

LENGTH = 4
PAGE = 2


def letter(offset: int, prev: int | None = None, *, is_kept: bool = True) -> Letter:
    return Letter("u", f"m{offset}", b"1", 0, 1 << 60, 0, offset, prev, is_kept)


@dataclass
class Mailbox:
    """The newest `LENGTH` kept messages of a user, as the router wrote them; any of them may expire."""

    letters: list[Letter] = field(default_factory=list)
    floor: int = -1
    last: int | None = None
    first: int | None = None

    def expire(self, index: int) -> None:
        self.floor = max(self.floor, self.letters.pop(index).offset)

    def append(self, offset: int, *, is_kept: bool) -> Letter:
        new = letter(offset, self.last, is_kept=is_kept)
        if is_kept:
            self.letters.append(new)
            self.last = offset
            if self.first is None:
                self.first = offset
            if len(self.letters) > LENGTH:
                self.expire(0)
        return new

    def page(self, after: int) -> Page:
        found = [one for one in self.letters if one.offset > after]
        return Page(found[:PAGE], self.floor, self.last, len(found) <= PAGE, self.first)


class InboxMachine(RuleBasedStateMachine):
    """One user with one connection after another; the inbox may lose, repeat and disorder, the store be emptied."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox()
        self.on_the_way: list[Letter] = []
        self.read_of: Page | None = None
        self.delivered: list[Letter] = []
        self.lost: set[int] = set()
        self.can_take = True
        self.published: dict[int, bool] = {}
        self.next = 0
        self.begin = 0
        self.told = 0
        self.written = -1
        self.position = 0
        self.read_at = 0
        self.is_whole = True
        self.gone_before: set[int] = set()
        self.unknowable: set[int] = set()

    @initialize(
        before=st.integers(0, 6),
        is_fresh=st.booleans(),
        snapshot=st.booleans(),
        since=st.integers(0, 6),
    )
    def subscribe(self, before: int, is_fresh: bool, snapshot: bool, since: int) -> None:
        for _ in range(before):
            self.publish(is_kept=True, is_routed=False)
        since = min(since, self.next)
        self.feed = PersonalFeed(None if is_fresh else since, snapshot=snapshot)
        self.wants_past = snapshot or not is_fresh
        self.begin = self.position = since

    @rule(is_kept=st.booleans(), is_routed=st.booleans())
    def publish(self, is_kept: bool, is_routed: bool) -> None:
        self.published[self.next] = is_kept
        new = self.mailbox.append(self.next, is_kept=is_kept)
        self.next += 1
        if is_routed:
            self.on_the_way.append(new)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), is_doubled=st.booleans())
    def arrive(self, data: st.DataObject, is_doubled: bool) -> None:
        index = data.draw(st.integers(0, len(self.on_the_way) - 1))
        self.arrived(self.on_the_way[index])
        if not is_doubled:
            del self.on_the_way[index]

    def arrived(self, arrived: Letter) -> None:
        taken = self.feed.offer(arrived, can_take=self.can_take)
        if taken is not None:
            self.deliver(taken)
            if taken.is_kept:
                self.position = taken.offset + 1

    def deliver(self, one: Letter) -> None:
        """As a client does, which knows what it had of another connection."""
        assert one.offset > self.written, "each once on a connection, in order"
        self.written = one.offset
        if one.offset >= self.told:
            self.told = one.offset + 1
            self.delivered.append(one)

    @rule(
        messages=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=5),
        is_doubled=st.booleans(),
    )
    def flow(self, messages: list[tuple[bool, bool]], is_doubled: bool) -> None:
        """What the inbox is for: the mailbox was read, and letters come in order."""
        self.catch_up()
        for is_kept, is_routed in messages:
            self.publish(is_kept, is_routed)
        for one in self.on_the_way:
            self.arrived(one)
        if not is_doubled:
            self.on_the_way.clear()

    @precondition(lambda self: self.feed.needs_read and self.read_of is None and self.can_take)
    @rule(falls_behind=st.booleans())
    def read(self, falls_behind: bool) -> None:
        if self.feed.is_fresh:
            held = [one.offset for one in self.mailbox.letters]
            self.begin = 0 if self.wants_past else self.next
            self.gone_before = self.published.keys() - set(held)
        self.read_at = self.next
        self.read_of = self.mailbox.page(self.feed.begin_read())
        self.can_take = not falls_behind

    @precondition(lambda self: self.read_of is not None)
    @rule()
    def answer(self) -> None:
        assert self.read_of is not None
        page, self.read_of = self.read_of, None
        if self.can_take:
            assert self.feed.is_fresh or self.feed.position_at(page) >= self.position
            self.position = self.feed.position_at(page)
        self.take(self.feed.end_read(page, can_take=self.can_take))

    def take(self, parts: Sequence[Part]) -> None:
        for gap, letters, position in parts:
            if gap is not None and gap[1] < gap[0]:
                self.lose_end(gap)
            elif gap is not None:
                assert self.position <= gap[0] < gap[1] <= position
                assert not self.is_whole or gap[1] <= self.mailbox.floor + 1
                self.lost.update(range(*gap))
                self.told = max(self.told, gap[1])
            at = 0 if gap is None else gap[1]
            for one in letters:
                assert at <= one.offset, "a client drops what a gap covers"
                assert not one.is_kept or one.offset < position
                at = one.offset + 1
                self.deliver(one)
            self.position = position

    def lose_end(self, gap: tuple[int, int]) -> None:
        assert not self.is_whole, "a mailbox loses nothing by itself"
        assert self.published.get(gap[0] - 1), "whoever had nothing cannot know"
        self.lost.update(range(gap[0], self.read_at))

    @precondition(lambda self: self.read_of is None and not self.feed.is_fresh)
    @rule()
    def come_back(self) -> None:
        """On another node, with what it was told."""
        self.feed = PersonalFeed(self.position)
        self.written = -1

    @rule(is_sent_before=st.booleans(), is_sent_after=st.booleans())
    def empty_the_store(self, is_sent_before: bool, is_sent_after: bool) -> None:
        if is_sent_before:
            self.publish(is_kept=True, is_routed=False)
        self.mailbox = Mailbox()
        self.is_whole = False
        is_being_told = self.read_of is not None and self.read_of.last is None
        if self.position == 0 or is_being_told:  # who has had nothing of it cannot know
            self.unknowable.update(range(self.next))
        if is_sent_after:
            self.publish(is_kept=True, is_routed=False)

    @precondition(lambda self: self.read_of is not None)
    @rule()
    def fail(self) -> None:
        self.read_of = None
        self.feed.fail_read()

    @rule(can_take=st.booleans())
    def fall_behind(self, can_take: bool) -> None:
        self.can_take = can_take

    @rule()
    def look(self) -> None:
        self.feed.look()

    @precondition(lambda self: self.mailbox.letters)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        self.mailbox.expire(data.draw(st.integers(0, len(self.mailbox.letters) - 1)))

    def teardown(self) -> None:
        if not hasattr(self, "feed"):
            return
        self.feed.look()
        self.catch_up()
        self.check()

    def catch_up(self) -> None:
        self.can_take = True
        if self.read_of is not None:
            self.answer()
        while self.feed.needs_read:
            self.read(falls_behind=False)
            self.answer()

    def check(self) -> None:
        offsets = [one.offset for one in self.delivered]
        assert offsets == sorted(set(offsets)), "in order, each once"
        kept = {o for o, is_kept in self.published.items() if is_kept and o >= self.begin}
        kept -= self.gone_before  # before a fresh subscription began: never its own
        kept -= self.unknowable
        assert kept <= set(offsets) | self.lost, "nothing is lost without a word"
        had = [o for o in offsets if self.published[o]]
        assert not self.is_whole or all(o >= self.begin for o in had)
        assert self.feed.next_offset <= self.next
        in_mailbox = {one.offset for one in self.mailbox.letters}
        assert in_mailbox & kept <= set(offsets), "what the mailbox still has is delivered"


TestInbox = InboxMachine.TestCase
TestInbox.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


def prev_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    offer = PersonalFeed.offer

    def credulous(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        return offer(feed, one._replace(prev=feed.next_offset - 1), can_take=can_take)

    patch.setattr(PersonalFeed, "offer", credulous)


def a_letter_that_overtakes_a_read_is_delivered(patch: pytest.MonkeyPatch) -> None:
    def eager(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        if one.offset < feed.next_offset or not can_take:
            return None
        feed.next_offset = one.offset + 1
        return one

    patch.setattr(PersonalFeed, "offer", eager)


def duplicates_are_delivered(patch: pytest.MonkeyPatch) -> None:
    offer = PersonalFeed.offer

    def twice(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        return one if one.offset < feed.next_offset else offer(feed, one, can_take=can_take)

    patch.setattr(PersonalFeed, "offer", twice)


def what_was_trimmed_is_not_told(patch: pytest.MonkeyPatch) -> None:
    end_read = PersonalFeed.end_read

    def silent(feed: PersonalFeed, page: Page, *, can_take: bool = True) -> object:
        return end_read(feed, page._replace(floor=-1), can_take=can_take)

    patch.setattr(PersonalFeed, "end_read", silent)


def an_emptied_store_counts_as_one_that_never_had_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PersonalFeed, "_lost_end", lambda _feed, _page: [])


def a_mailbox_that_was_begun_anew_counts_as_the_same(patch: pytest.MonkeyPatch) -> None:
    end_read = PersonalFeed.end_read

    def same(feed: PersonalFeed, page: Page, *, can_take: bool = True) -> object:
        return end_read(feed, page._replace(first=None), can_take=can_take)

    patch.setattr(PersonalFeed, "end_read", same)


def letters_that_are_kept_nowhere_move_the_position(patch: pytest.MonkeyPatch) -> None:
    offer = PersonalFeed.offer

    def moved(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        taken = offer(feed, one, can_take=can_take)
        feed.position = max(feed.position, feed.next_offset)
        return taken

    patch.setattr(PersonalFeed, "offer", moved)


def a_page_counts_as_the_whole_mailbox(patch: pytest.MonkeyPatch) -> None:
    end_read = PersonalFeed.end_read

    def whole(feed: PersonalFeed, page: Page, *, can_take: bool = True) -> object:
        return end_read(feed, page._replace(is_complete=True), can_take=can_take)

    patch.setattr(PersonalFeed, "end_read", whole)


def a_read_for_a_full_socket_counts_as_delivered(patch: pytest.MonkeyPatch) -> None:
    end_read = PersonalFeed.end_read

    def delivered(feed: PersonalFeed, page: Page, *, can_take: bool = True) -> object:
        parts = end_read(feed, page, can_take=True)
        return parts if can_take else ()

    patch.setattr(PersonalFeed, "end_read", delivered)


SEARCH = settings(
    max_examples=500,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    deadline=None,
)


@pytest.mark.parametrize(
    "bug",
    [
        prev_is_not_looked_at,
        a_letter_that_overtakes_a_read_is_delivered,
        duplicates_are_delivered,
        what_was_trimmed_is_not_told,
        an_emptied_store_counts_as_one_that_never_had_anything,
        a_mailbox_that_was_begun_anew_counts_as_the_same,
        letters_that_are_kept_nowhere_move_the_position,
        a_page_counts_as_the_whole_mailbox,
        a_read_for_a_full_socket_counts_as_delivered,
    ],
)
def test_machine_finds(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(InboxMachine, settings=SEARCH)


def test_letter_that_nobody_keeps_is_delivered_behind_what_it_waited_for() -> None:
    feed = PersonalFeed(5)
    feed.begin_read()
    assert feed.offer(letter(8, prev=7, is_kept=False), can_take=True) is None
    first = feed.end_read(Page([letter(6), letter(7, 6)], -1, 7, True))
    assert [[one.offset for one in part.letters] for part in first] == [[6, 7]]
    assert feed.needs_read
    feed.begin_read()
    second = feed.end_read(Page([], -1, 7, True))
    assert [[one.offset for one in part.letters] for part in second] == [[8]]
    assert feed.next_offset == 9


def test_gaps_stand_between_the_letters_that_are_left() -> None:
    feed = PersonalFeed(5)
    feed.begin_read()
    parts = feed.end_read(Page([letter(6), letter(7), letter(15), letter(30)], 20, 30, True))
    told = [(part.gap, [one.offset for one in part.letters], part.position) for part in parts]
    assert told == [((5, 6), [6, 7], 8), ((8, 15), [15], 16), ((16, 21), [30], 31)]


def test_fresh_subscription_is_told_of_no_gap() -> None:
    feed = PersonalFeed(None)
    feed.begin_read()
    parts = feed.end_read(Page([letter(8)], 7, 8, True))
    assert [part.gap for part in parts] == [None]
    assert feed.next_offset == 9


def test_fresh_subscription_without_snapshot_gets_what_comes_from_now_on() -> None:
    feed = PersonalFeed(None, snapshot=False)
    feed.begin_read()
    assert not feed.end_read(Page([letter(8)], 3, 9, False))
    assert feed.next_offset == 10
    assert feed.offer(letter(10, 9), can_take=True) == letter(10, 9)
    assert feed.position == 11


def test_fresh_subscription_without_snapshot_stands_behind_what_was_kept() -> None:
    """Resumed from further back it would be given what it did not want."""
    feed = PersonalFeed(None, snapshot=False)
    feed.begin_read()
    assert feed.position_at(Page([letter(8)], 3, 9, False)) == 10


def test_who_had_something_of_a_mailbox_that_is_not_there_is_told_once() -> None:
    feed = PersonalFeed(5)
    feed.begin_read()
    assert feed.end_read(Page([], -1, None, True)) == [Part((5, 0), (), 0)]
    again = PersonalFeed(feed.position)
    again.begin_read()
    assert again.end_read(Page([], -1, None, True)) == []


def test_who_had_only_what_is_kept_nowhere_is_told_of_no_gap() -> None:
    feed = PersonalFeed(0)
    feed.begin_read()
    feed.end_read(Page([], -1, None, True))
    assert feed.offer(letter(5, is_kept=False), can_take=True) is not None
    assert (feed.position, feed.next_offset) == (0, 6)
    feed.look()
    feed.begin_read()
    assert feed.end_read(Page([], -1, None, True)) == []


def test_a_mailbox_that_was_begun_anew_may_lack_what_came_before_it() -> None:
    feed = PersonalFeed(5)
    feed.begin_read()
    parts = feed.end_read(Page([letter(9, 7)], -1, 9, True, first=7))
    told = [(part.gap, [one.offset for one in part.letters], part.position) for part in parts]
    assert told == [((5, 7), [9], 10)]


def test_a_mailbox_that_has_lost_its_end_goes_on_from_there() -> None:
    feed = PersonalFeed(9)
    feed.begin_read()
    held = letter(12, 5, is_kept=False)
    assert feed.offer(held, can_take=True) is None
    feed.end_read(Page([letter(3)], -1, 5, True, first=3))
    feed.begin_read()
    assert feed.end_read(Page([], -1, 5, True, first=3)) == [Part(None, [held], 6)]
    assert feed.offer(letter(13, 5), can_take=True) == letter(13, 5)
    assert feed.position == 14


def test_a_new_mailbox_is_noticed_by_the_letter_that_begins_it() -> None:
    feed = PersonalFeed(5)
    feed.begin_read()
    feed.end_read(Page([], -1, 4, True, first=2))
    assert feed.offer(letter(8), can_take=True) is None
    assert feed.needs_read
