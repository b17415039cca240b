"""What waits for the consumer of one subscription: bounded, newest per key or in order; pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from .messages import Event, Gap
from .position import Position
from .subscription_state import Accepted

__all__ = ["Arrival", "Batch", "NewestBuffer", "OrderedBuffer", "Receipt"]


class Receipt(Protocol):
    """Told when the application has dealt with a message."""

    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came: ``received_at`` in ms since 1970, and its trace."""

    received_at: float
    traceparent: str | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One item of a subscription.

    ``snapshot``: ``events`` are the whole table and replace what was there (``partial``: only what the
    node held). ``updates``: changes since the batch before; ``coalesced`` events were folded away, on
    the node or here; ``received_at`` (ms since 1970, with fractions) is when the newest message in it came, and
    ``traceparent`` (W3C) that message's, where it is sampled. ``gap``: no events, ``gap`` says what will never come. ``position`` is safe to
    resume from once this batch has been dealt with.
    """

    kind: Literal["snapshot", "updates", "gap"]
    position: Position
    events: tuple[Event, ...] = ()
    coalesced: int = 0
    partial: bool = False
    gap: Gap | None = None
    traceparent: str | None = None
    received_at: float | None = None

    @property
    def ts(self) -> int | None:
        """Time of the newest event in ms since 1970; None without events."""
        return max((event.ts for event in self.events), default=None)


class NewestBuffer:
    """Mode `latest`: the newest event of each key; beyond ``limit`` keys one whole table instead."""

    def __init__(self, limit: int, newest: Mapping[str, Event]) -> None:
        self._limit = limit
        self._table = newest
        self._events: dict[str, Event] = {}
        self._coalesced = 0
        self._is_table_due = False
        self._is_partial = False
        self._gap: Gap | None = None
        self._position: Position | None = None
        self._taken: Position | None = None  # up to here everything was taken
        self._newest_arrival: Arrival | None = None
        self._waiting_receipts: list[Receipt] = []
        self._taken_receipts: list[Receipt] = []

    def has_room(self, events: int) -> bool:
        return True

    def offer(self, accepted: Accepted, position: Position, arrival: Arrival | None = None) -> None:
        self._position = position
        if accepted.events:
            self._note_arrival(arrival)
        if accepted.replaces:
            self._is_table_due, self._is_partial = True, accepted.partial
            self._events.clear()
            self._coalesced = 0
            return
        self._coalesced += accepted.coalesced
        if self._is_table_due:
            self._coalesced += len(accepted.events)
            return
        for event in accepted.events:
            self._coalesced += event.key in self._events
            self._events.pop(event.key, None)
            self._events[event.key] = event
        if len(self._events) > self._limit:
            self._coalesced += len(self._events)
            self._events.clear()
            self._is_table_due, self._is_partial = True, False

    def offer_gap(self, gap: Gap, position: Position) -> None:
        self._gap = gap if self._gap is None else _joined(self._gap, gap)
        self._position = position

    def take_receipts(self) -> list[Receipt]:
        """Of the batches taken, and of what they took the place of."""
        receipts, self._taken_receipts = self._taken_receipts, []
        return receipts

    def take(self) -> Batch | None:
        are_events_waiting = self._is_table_due or bool(self._events)
        if self._gap is not None:
            # Told before the events that wait, so it must not claim them: its position is before them.
            position = self._taken if are_events_waiting else self._position
            if position is not None:
                gap, self._gap = self._gap, None
                return Batch("gap", position, gap=gap)
        if self._position is None or not are_events_waiting:
            return None
        return self._take_events(self._position)

    def _note_arrival(self, arrival: Arrival | None) -> None:
        self._newest_arrival = arrival
        if arrival is not None and arrival.receipt is not None:
            self._waiting_receipts.append(arrival.receipt)

    def _take_events(self, position: Position) -> Batch:
        self._taken = position
        coalesced, self._coalesced = self._coalesced, 0
        self._taken_receipts += self._waiting_receipts
        self._waiting_receipts = []
        if self._is_table_due:
            self._is_table_due = False
            table = tuple(self._table.values())
            return Batch("snapshot", position, table, coalesced, self._is_partial)
        events = tuple(self._events.values())
        self._events.clear()
        return _updates(position, events, coalesced, self._newest_arrival)


class OrderedBuffer:
    """Mode `every`: batches in order; an empty buffer takes any batch, else ``limit`` events in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[tuple[Batch, Receipt | None]] = deque()
        self._taken_receipts: list[Receipt] = []
        self._events = 0

    def has_room(self, events: int) -> bool:
        return self._events == 0 or self._events + events <= self._limit

    def offer(self, accepted: Accepted, position: Position, arrival: Arrival | None = None) -> None:
        events = accepted.events
        self._events += len(events)
        if accepted.replaces:
            batch = Batch("snapshot", position, events, accepted.coalesced, accepted.partial)
        elif events:
            batch = _updates(position, events, accepted.coalesced, arrival)
        else:
            return
        self._batches.append((batch, None if arrival is None else arrival.receipt))

    def offer_gap(self, gap: Gap, position: Position) -> None:
        if self._batches and (last := self._batches[-1][0].gap) is not None:
            self._batches.pop()
            gap = _joined(last, gap)
        self._batches.append((Batch("gap", position, gap=gap), None))

    def take_receipts(self) -> list[Receipt]:
        """Of the batches taken."""
        receipts, self._taken_receipts = self._taken_receipts, []
        return receipts

    def take(self) -> Batch | None:
        if not self._batches:
            return None
        batch, receipt = self._batches.popleft()
        self._events -= len(batch.events)
        if receipt is not None:
            self._taken_receipts.append(receipt)
        return batch


def _updates(
    position: Position, events: tuple[Event, ...], coalesced: int, arrival: Arrival | None
) -> Batch:
    if arrival is None:
        return Batch("updates", position, events, coalesced)
    return Batch(
        "updates",
        position,
        events,
        coalesced,
        traceparent=arrival.traceparent,
        received_at=arrival.received_at,
    )


def _joined(first: Gap, then: Gap) -> Gap:
    ranges = dict(first.ranges)
    for partition, (start, after) in then.ranges.items():
        ranges[partition] = (ranges.get(partition, (start, after))[0], after)
    return Gap(ranges, then.reason)
