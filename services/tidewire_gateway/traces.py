"""The way of sampled events through the node: a span for reading each, one for every flush that carries any."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from tidewire.kafka.records import Record
from tidewire.protocol.trace_context import TraceParent, traceparent
from tidewire.telemetry.spans import new_id

from .core.allowance import Allowance
from .core.sampling import SampledEvent, sampled_parent
from .instruments import Instruments

if TYPE_CHECKING:  # it loads the SDK, which is there only where there are traces
    from tidewire.telemetry.late_spans import NotedSpan, SpanBook

__all__ = ["Destination", "EventTraces", "FlowSink", "FlushSize", "Push"]

_MOST_TOLD: Final = 16

FlowSink = Callable[[dict[str, Any]], None]
"""Takes what became of one flush, as docs/observability.md writes it; must not block."""


class Destination(NamedTuple):
    """Whom a flush goes to. ``topic`` is where its events come from."""

    topic: str
    stream: str
    channel: str
    mode: str
    interval_ms: int


class FlushSize(NamedTuple):
    """Events that a flush carries, that it has folded away, and sampled ones of either that are not told apart any more."""

    carried: int
    coalesced: int
    sampled_before: int = 0


class EventTraces:
    """``spans`` is None where none are recorded, ``flows`` where nobody wants to be told of flushes.

    Of a storm of sampled events ``most_per_second`` are followed, and a burst of as many again; the others count as not sampled.
    """

    def __init__(
        self,
        *,
        spans: "SpanBook | None",
        flows: FlowSink | None,
        most_per_second: int,
        node: str,
        instruments: Instruments,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._spans = spans
        self._flows = flows
        self._node = node
        self._instruments = instruments
        self._wall_ns = wall_ns
        self._allowance = Allowance(most_per_second, 1.0, wall_ns() / 1e9)
        self._followed: dict[str, set[str]] = {}

    def followed_in(self, stream: str) -> set[str]:
        """Entities of a stream whose events are followed whatever their producers say; it may be changed."""
        return self._followed.setdefault(stream, set())

    def look(self, record: Record, entity: str, stream: str) -> SampledEvent | None:
        """The record's event, if it is sampled or its entity is followed."""
        parent = sampled_parent(record) if record.headers else None
        if parent is None and entity not in self._followed.get(stream, ()):
            return None
        return SampledEvent(parent, entity, record.partition, record.offset, record.timestamp_ms)

    def taken(self, event: SampledEvent, topic: str) -> Callable[[], None] | None:
        """The event was read from ``topic``; call what is returned when its processing has ended."""
        if not self._admit(event):
            return None
        if self._spans is None:
            self._instruments.traced("traced")
            event.place = _place_in(event.parent)
            return None
        span = self._spans.begin(
            f"process {topic}",
            SpanKind.CONSUMER,
            event.parent,
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(event.partition),
                "messaging.kafka.offset": event.offset,
                "messaging.kafka.message.key": event.key,
            },
            start_ns=event.taken_ns,
        )
        if span is not None:
            self._instruments.traced("traced")
            event.place, event.is_recorded = span.place, True
            return lambda: span.end(self._wall_ns())
        self._instruments.traced("not_sampled")
        if event.parent is None:
            event.place = _place_in(None)  # it is followed by somebody's wish, not by the sampler's
        return None

    def arrived(self, event: SampledEvent) -> None:
        """The event came by a call, not in a record: whoever called has its span."""
        if self._admit(event):
            self._instruments.traced("traced")
            event.place, event.is_recorded = event.parent, event.parent is not None

    def push(
        self, events: Sequence[SampledEvent], to: Destination, size: FlushSize
    ) -> "Push | None":
        """A flush begins that carries or has folded sampled events; None where none of them is followed.

        It goes on with the trace of the newest that is recorded, and is linked to all of these. Where none is, its ids are
        nobody's: for who is told of flows.
        """
        followed = [event for event in events if event.place is not None]
        if not followed:
            return None
        now = self._wall_ns()
        span = self._push_span([e for e in followed if e.is_recorded], to, size, now)
        place = _place_in(followed[-1].place) if span is None else span.place
        told = None
        if self._flows is not None:
            told = _told(self._node, followed, to, place, now) | {
                "events": size.carried,
                "coalesced": size.coalesced,
            }
        return Push(place, span, told, self._flows, self._wall_ns)

    def _admit(self, event: SampledEvent) -> bool:
        now = self._wall_ns()
        if self._allowance.take(now / 1e9):
            self._instruments.traced("capped")
            return False
        event.taken_ns = now
        return True

    def _push_span(
        self, events: Sequence[SampledEvent], to: Destination, size: FlushSize, now: int
    ) -> "NotedSpan | None":
        if self._spans is None or not events:
            return None
        if size.sampled_before:
            self._instruments.links_cut.inc(size.sampled_before)
        attributes: dict[str, str | int] = {
            "messaging.system": "tidewire",
            "messaging.operation.name": "push",
            "messaging.operation.type": "send",
            "messaging.destination.name": to.channel,
            "messaging.destination.template": to.stream,
            "messaging.batch.message_count": size.carried,
            "tidewire.mode": to.mode,
            "tidewire.interval_ms": to.interval_ms,
            "tidewire.coalesced": size.coalesced,
            "tidewire.sampled": len(events) + size.sampled_before,
        }
        return self._spans.begin(
            f"push {to.stream}",
            SpanKind.PRODUCER,
            events[-1].place,
            attributes,
            start_ns=now,
            links=[one.place for one in events if one.place is not None],
        )


class Push:
    """One flush on its way; ``traceparent`` travels in its frame, as not sampled where no span is recorded."""

    __slots__ = ("_flows", "_place", "_span", "_told", "_wall_ns", "traceparent")

    def __init__(
        self,
        place: TraceParent,
        span: "NotedSpan | None",
        told: dict[str, Any] | None,
        flows: FlowSink | None,
        wall_ns: Callable[[], int],
    ) -> None:
        self._place = place
        self._span = span
        self._told = told
        self._flows = flows
        self._wall_ns = wall_ns
        self.traceparent = traceparent(*place, is_sampled=span is not None)

    @property
    def trace_id(self) -> str | None:
        """None where no span is recorded: it would lead nowhere."""
        return None if self._span is None else f"{self._place.trace_id:032x}"

    def end(self, connections: int) -> None:
        """The frame was written to so many connections."""
        now = self._wall_ns()
        if self._span is not None:
            self._span.attributes["tidewire.connections"] = connections
            self._span.end(now)
        if self._told is not None and self._flows is not None:
            self._flows(self._told | {"written_at_ms": now / 1e6, "connections": connections})


def _told(
    node: str, events: Sequence[SampledEvent], to: Destination, place: TraceParent, now: int
) -> dict[str, Any]:
    return {
        "node": node,
        **to._asdict(),
        "trace": f"{place.trace_id:032x}",
        "span": f"{place.span_id:016x}",
        "pushed_at_ms": now / 1e6,
        "sampled": [_told_event(event) for event in events[-_MOST_TOLD:]],
        "sampled_cut": max(0, len(events) - _MOST_TOLD),
    }


def _told_event(event: SampledEvent) -> dict[str, Any]:
    assert event.place is not None
    return {
        "trace": f"{event.place.trace_id:032x}",
        "key": event.key,
        "partition": event.partition,
        "offset": event.offset,
        "ts_ms": event.ts_ms,
        "taken_at_ms": event.taken_ns / 1e6,
        **({} if event.routed_ms is None else {"routed_at_ms": event.routed_ms}),
    }


def _place_in(parent: TraceParent | None) -> TraceParent:
    """Ids for a span that is not recorded: in the parent's trace, or in a new one."""
    trace_id = new_id(128) if parent is None else parent.trace_id
    return TraceParent(trace_id, new_id(64))
