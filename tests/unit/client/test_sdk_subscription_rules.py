"""Properties of the client's rules, whatever a correct server does."""

from dataclasses import dataclass, field

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


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
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
