"""What waits for a slow consumer is bounded: coalesced in latest, in order in every."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire_client.batches import Batch, NewestBuffer, OrderedBuffer
from tidewire_client.messages import Event, Gap
from tidewire_client.position import Position
from tidewire_client.subscription_state import Accepted


def at(offset: int) -> Position:
    return Position("e", {0: offset})


def event(key: str, offset: int, *, deleted: bool = False) -> Event:
    return Event(key, None if deleted else offset, 1000 + offset, 0, offset, deleted=deleted)


def updates(*events: Event, coalesced: int = 0) -> Accepted:
    return Accepted(tuple(events), coalesced)


def drain(buffer: NewestBuffer | OrderedBuffer) -> list[Batch]:
    return list(iter(buffer.take, None))


def test_latest_gives_a_slow_consumer_the_newest_of_each_key_and_counts_the_rest() -> None:
    buffer = NewestBuffer(100, {})
    buffer.offer(updates(event("a", 1), event("b", 2), coalesced=3), at(3))
    buffer.offer(updates(event("a", 4)), at(5))
    (batch,) = drain(buffer)
    assert batch.kind == "updates"
    assert [(e.key, e.offset) for e in batch.events] == [("b", 2), ("a", 4)]
    assert (batch.coalesced, batch.position, batch.ts) == (4, at(5), 1004)
    assert drain(buffer) == []


def test_latest_hands_over_one_table_when_more_keys_wait_than_the_bound() -> None:
    table = {f"k{i}": event(f"k{i}", i) for i in range(4)}
    buffer = NewestBuffer(3, table)
    buffer.offer(updates(*table.values()), at(4))
    buffer.offer(updates(event("gone", 5, deleted=True)), at(6))
    (batch,) = drain(buffer)
    assert batch.kind == "snapshot"
    assert set(batch.events) == set(table.values())
    assert (batch.position, batch.coalesced) == (at(6), 5)


def test_latest_replaces_what_waits_by_a_snapshot_even_an_empty_one() -> None:
    buffer = NewestBuffer(10, {})
    buffer.offer(updates(event("a", 1)), at(2))
    buffer.offer(Accepted((), replaces=True, partial=True), at(9))
    (batch,) = drain(buffer)
    assert (batch.kind, batch.events, batch.partial) == ("snapshot", (), True)


def keep(table: dict[str, Event], change: Event) -> None:
    table.pop(change.key, None)
    if not change.deleted:
        table[change.key] = change


def consume(buffer: NewestBuffer, seen: dict[str, Event]) -> None:
    for batch in drain(buffer):
        if batch.kind == "snapshot":
            seen.clear()
        for taken in batch.events:
            keep(seen, taken)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=50), st.data())
def test_consumer_of_latest_ends_with_the_same_map_however_slow_it_is(
    changes: list[tuple[str, bool]], data: st.DataObject
) -> None:
    table: dict[str, Event] = {}
    buffer = NewestBuffer(3, table)
    seen: dict[str, Event] = {}
    for offset, (key, deleted) in enumerate(changes):
        change = event(key, offset, deleted=deleted)
        keep(table, change)
        buffer.offer(updates(change), at(offset + 1))
        if data.draw(st.booleans(), "consume"):
            consume(buffer, seen)
    consume(buffer, seen)
    assert seen == table


def test_every_keeps_batches_in_order_with_gaps_between_them() -> None:
    buffer = OrderedBuffer(10)
    buffer.offer(updates(event("a", 1)), at(2))
    buffer.offer_gap(Gap({0: (2, 5)}, "too_far"), at(5))
    buffer.offer(updates(event("a", 5)), at(6))
    kinds = [(batch.kind, batch.position) for batch in drain(buffer)]
    assert kinds == [("updates", at(2)), ("gap", at(5)), ("updates", at(6))]


def test_every_takes_no_more_than_its_bound_but_any_first_batch() -> None:
    buffer = OrderedBuffer(3)
    assert buffer.has_room(1000)
    buffer.offer(updates(event("a", 1), event("a", 2)), at(3))
    assert buffer.has_room(1)
    assert not buffer.has_room(2)
    buffer.take()
    assert buffer.has_room(2)


def test_gaps_in_a_row_are_joined_so_that_they_cannot_pile_up() -> None:
    for buffer in (OrderedBuffer(3), NewestBuffer(3, {})):
        for first in range(1000):
            gap = Gap({0: (first, first + 1), first % 2 + 1: (7, 8)}, "too_far")
            buffer.offer_gap(gap, at(first + 1))
        (batch,) = drain(buffer)
        assert batch.gap is not None
        assert batch.gap.ranges == {0: (0, 1000), 1: (7, 8), 2: (7, 8)}


def test_batches_without_events_are_not_worth_waking_for() -> None:
    every, latest = OrderedBuffer(3), NewestBuffer(3, {})
    for buffer in (every, latest):
        buffer.offer(updates(), at(3))
        assert drain(buffer) == []


def test_gap_in_latest_is_told_first_but_does_not_claim_the_events_that_wait() -> None:
    buffer = NewestBuffer(10, {})
    buffer.offer(updates(event("a", 1)), at(2))
    assert [batch.position for batch in drain(buffer)] == [at(2)]
    buffer.offer(updates(event("a", 2)), at(3))
    buffer.offer_gap(Gap({0: (3, 9)}, "too_far"), at(9))
    told = [(batch.kind, batch.position) for batch in drain(buffer)]
    assert told == [("gap", at(2)), ("updates", at(9))]


def test_gap_in_latest_before_any_batch_follows_the_events_that_wait() -> None:
    buffer = NewestBuffer(10, {})
    buffer.offer(updates(event("a", 1)), at(2))
    buffer.offer_gap(Gap({0: (2, 9)}, "too_far"), at(9))
    assert [batch.kind for batch in drain(buffer)] == ["updates", "gap"]
