"""Properties of the client's rules, whatever a correct server does."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_client import subscription_state
from tidewire_client.messages import Event, Gap, GapNotice, Snapshot, Subscribed, Updates
from tidewire_client.position import Position
from tidewire_client.subscription_state import SubscriptionState

KEYS = "abcd"
EPOCH = "e"


@dataclass
class Topic:
    """A partition's log: the key and the value of each offset, None for a tombstone."""

    records: list[tuple[str, int | None]] = field(default_factory=list)

    def event(self, offset: int) -> Event:
        key, data = self.records[offset]
        return Event(key, data, offset, 0, offset, deleted=data is None)

    def table(self) -> dict[str, int]:
        newest = dict(self.records)
        return {key: data for key, data in newest.items() if data is not None}

    def newest_since(self, offset: int, end: int) -> list[Event]:
        newest = {self.records[o][0]: o for o in range(offset, end)}
        return [self.event(o) for o in newest.values()]


records = st.lists(
    st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 99))), max_size=40
)


def at(offset: int) -> Position:
    return Position(EPOCH, {0: offset})


def subscribed(
    offset: int, recovered: str, *, mode: str = "latest", gap: Gap | None = None
) -> Subscribed:
    return Subscribed(1, "flights", mode, 0, at(offset), recovered, gap)


def snapshot_of(topic: Topic, end: int) -> Snapshot:
    live = [event for event in topic.newest_since(0, end) if not event.deleted]
    return Snapshot(1, at(end), tuple(live))


@given(records=records, data=st.data())
def test_latest_holds_the_newest_value_after_any_cuts_and_resumes(
    records: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    """Whatever frames are lost with a connection, a resume from the position makes the map whole."""
    topic = Topic(records)
    state = SubscriptionState()
    read = data.draw(st.integers(0, len(records)), "snapshot at")
    state.subscribed(subscribed(0, "none"))
    state.snapshot(snapshot_of(topic, read))
    while read < len(records):
        end = data.draw(st.integers(read + 1, len(records)), "flush up to")
        events = topic.newest_since(read, end)
        split = data.draw(st.integers(0, len(events)), "frame split")
        state.updates(Updates(1, Position(EPOCH, {}), tuple(events[:split])))
        if data.draw(st.booleans(), "cut"):
            assert state.position is not None
            read = state.position.offsets[0]
            state.subscribed(subscribed(read, "changes"))
            continue_to = len(records)
            state.updates(Updates(1, at(continue_to), tuple(topic.newest_since(read, continue_to))))
            read = continue_to
        else:
            state.updates(Updates(1, at(end), tuple(events[split:])))
            read = end
    assert {key: event.data for key, event in state.newest.items()} == topic.table()
    assert state.position == at(len(records))


@given(records=records, data=st.data())
def test_latest_never_shows_an_older_value_after_a_newer_one(
    records: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    topic = Topic(records)
    state = SubscriptionState(snapshot=False)
    state.subscribed(subscribed(0, "none"))
    last: dict[str, int] = {}
    offsets = st.integers(0, len(records) - 1) if records else st.nothing()
    for offset in data.draw(st.lists(offsets, max_size=60) if records else st.just([])):
        accepted = state.updates(Updates(1, Position(EPOCH, {}), (topic.event(offset),)))
        for event in accepted.events:
            assert event.offset > last.get(event.key, -1)
            last[event.key] = event.offset


@given(
    flushes=st.lists(st.integers(1, 5), max_size=12),
    data=st.data(),
)
def test_every_delivers_each_event_once_and_in_order_through_resumes(
    flushes: list[int], data: st.DataObject
) -> None:
    end = sum(flushes)
    topic = Topic([(KEYS[i % 4], i) for i in range(end)])
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none", mode="every"))
    delivered: list[int] = []
    read = 0
    for size in flushes:
        events = tuple(topic.event(o) for o in range(read, read + size))
        accepted = state.updates(Updates(1, Position(EPOCH, {}), events))
        delivered += [event.offset for event in accepted.events]
        if data.draw(st.booleans(), "cut before the position moved"):
            assert state.position is not None
            again = state.position.offsets[0]
            state.subscribed(subscribed(again, "exact", mode="every"))
            events = tuple(topic.event(o) for o in range(again, read + size))
            accepted = state.updates(Updates(1, Position(EPOCH, {}), events))
            delivered += [event.offset for event in accepted.events]
        read += size
        if data.draw(st.booleans(), "position moves"):
            state.updates(Updates(1, at(read), ()))
    assert delivered == list(range(end))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=10))
def test_every_goes_on_exactly_where_a_gap_ends(gaps: list[tuple[int, int]]) -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none", mode="every"))
    for first, after in gaps:
        state.gap(GapNotice(1, Gap({0: (first, after)}, "truncated")))
        assert state.position == at(after)
        before = Event("k", 1, 0, 0, after - 1)
        expected = Event("k", 1, 0, 0, after)
        accepted = state.updates(Updates(1, Position(EPOCH, {}), (before, expected)))
        assert accepted.events == (expected,)


def test_position_does_not_move_while_a_snapshot_is_incomplete() -> None:
    state = SubscriptionState(since=at(5))
    state.subscribed(subscribed(90, "snapshot"))
    assert state.snapshot(Snapshot(1, at(90), (Event("a", 1, 0, 0, 80),), more=True)) is None
    assert state.position == at(5)

    complete = state.snapshot(Snapshot(1, at(91), ()))
    assert complete is not None
    assert [event.offset for event in complete.events] == [80]
    assert state.position == at(91)


def test_snapshot_is_awaited_until_its_last_part() -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none"))
    waiting = [state.awaits_snapshot]
    for part in (Snapshot(1, at(0), (), more=True), Snapshot(1, at(1), ())):
        state.snapshot(part)
        waiting.append(state.awaits_snapshot)
    assert waiting == [True, True, False]


def part(offset: int, *events: Event, more: bool = False) -> Snapshot:
    return Snapshot(1, at(offset), events, more=more)


def test_events_between_the_parts_of_a_snapshot_come_behind_it() -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none"))
    state.snapshot(part(0, Event("a", 3, 0, 0, 3), more=True))
    late = Event("b", 16, 0, 0, 16)
    assert state.updates(Updates(1, at(20), (late,))).events == ()
    assert state.position is None
    complete = state.snapshot(part(10, Event("b", 5, 0, 0, 5)))
    assert complete is not None
    assert [event.offset for event in complete.events] == [3, 5, 16]
    assert state.newest["b"] is late
    assert state.position == at(10)


def test_gap_between_the_parts_of_a_snapshot_leaves_the_position_to_the_last() -> None:
    state = SubscriptionState(since=at(5))
    state.subscribed(subscribed(90, "snapshot"))
    state.snapshot(part(90, more=True))
    state.gap(GapNotice(1, Gap({0: (90, 95)}, "retention")))
    assert state.position == at(5)
    state.snapshot(part(99))
    assert state.position == at(99)


@pytest.mark.parametrize("recovered", ["none", "snapshot"])
def test_update_in_the_middle_of_a_snapshot_starts_it_anew(recovered: str) -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none"))
    state.snapshot(part(0, Event("a", 1, 0, 0, 1), more=True))
    state.subscribed(subscribed(0, recovered), is_update=True)
    assert (state.position, state.awaits_snapshot) == (None, True)
    complete = state.snapshot(part(9, Event("b", 2, 0, 0, 2)))
    assert complete is not None
    assert [event.key for event in complete.events] == ["b"]
    assert state.position == at(9)


def test_snapshot_cut_off_with_its_connection_leaves_no_parts() -> None:
    state = SubscriptionState(since=at(5))
    state.subscribed(subscribed(90, "snapshot"))
    state.snapshot(part(90, Event("a", 1, 0, 0, 1), more=True))
    state.drop_parts()
    complete = state.snapshot(part(99, Event("b", 2, 0, 0, 2)))
    assert complete is not None
    assert [event.key for event in complete.events] == ["b"]


def test_reason_of_a_resume_is_kept_until_the_next() -> None:
    state = SubscriptionState(since=at(5))
    state.subscribed(Subscribed(1, "flights", "latest", 0, at(9), "snapshot", reason="recreated"))
    assert state.recovered_reason == "recreated"
    state.subscribed(subscribed(9, "changes"))
    assert state.recovered_reason is None


@pytest.mark.parametrize("mode", ["latest", "every"])
def test_update_without_events_brings_the_epoch_of_a_recreated_topic(mode: str) -> None:
    state = SubscriptionState(snapshot=False)
    state.subscribed(subscribed(0, "none", mode=mode))
    state.updates(Updates(1, at(6), (Event("a", 1, 0, 0, 5),)))
    state.gap(GapNotice(1, Gap({0: (6, 3)}, "recreated")))
    assert state.position == at(6)
    new = Position("another", {0: 0})
    assert state.updates(Updates(1, new, ())).events == ()
    assert state.position == new
    again = Event("a", 2, 0, 0, 0)
    assert state.updates(Updates(1, Position("another", {0: 1}), (again,))).events == (again,)


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=30))
def test_key_that_moves_between_partitions_shows_the_later_frame(
    moves: list[tuple[int, bool]],
) -> None:
    """Within a partition repeated offsets are dropped; between partitions offsets say nothing."""
    state = SubscriptionState(snapshot=False)
    state.subscribed(subscribed(0, "none"))
    ends = {0: 0, 1: 0}
    last: Event | None = None
    for partition, is_repeated in moves:
        if is_repeated and last is not None:
            assert state.updates(Updates(1, Position(EPOCH, {}), (last,))).events == ()
            continue
        last = Event("k", object(), 0, partition, ends[partition])
        ends[partition] += 1
        moved = Position(EPOCH, {partition: ends[partition]})
        assert state.updates(Updates(1, moved, (last,))).events == (last,)
        assert state.newest["k"] is last


def test_updates_without_the_expected_snapshot_start_where_subscribed_said() -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(10, "none"))
    state.updates(Updates(1, Position(EPOCH, {}), (Event("a", 1, 0, 0, 10),)))
    assert state.position == at(10)
    assert state.newest["a"].data == 1


def test_reply_to_an_update_keeps_map_and_position_whatever_it_says() -> None:
    state = SubscriptionState()
    state.subscribed(subscribed(0, "none"))
    state.snapshot(Snapshot(1, at(10), (Event("a", 1, 0, 0, 3),)))
    state.subscribed(subscribed(10, "none"), is_update=True)
    assert state.position == at(10)
    assert set(state.newest) == {"a"}


def test_remembered_tombstones_are_bounded() -> None:
    state = SubscriptionState(snapshot=False)
    state.subscribed(subscribed(0, "none"))
    count = subscription_state.MAX_TOMBSTONES + 5
    removed = tuple(Event(f"k{o}", None, 0, 0, o, deleted=True) for o in range(count))
    state.updates(Updates(1, at(count), removed))
    old_value = Event("k0", 1, 0, 0, 0)
    kept_value = Event(f"k{count - 1}", 1, 0, 0, 0)
    accepted = state.updates(Updates(1, at(count), (old_value, kept_value)))
    assert accepted.events == (old_value,)
