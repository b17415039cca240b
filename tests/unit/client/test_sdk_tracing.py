"""Spans of what comes traced: which there are, what they say, and what a fault of OpenTelemetry costs."""

import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, Span, SpanKind

from tidewire_client import __version__
from tidewire_client.batches import Arrival, NewestBuffer, OrderedBuffer, Receipt
from tidewire_client.codec import decode
from tidewire_client.messages import Event, Updates
from tidewire_client.position import Position
from tidewire_client.subscription_state import Accepted
from tidewire_client.tracing import Tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
RECEIVED_NS = 1_764_460_800_250_310_000


class Traced:
    """A tracing whose clock the test moves, and its spans as they end."""

    def __init__(self) -> None:
        self.now_ns = RECEIVED_NS
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider, lambda: self.now_ns)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


def event(key: str, offset: int) -> Event:
    return Event(key, offset, 1000, 0, offset)


def updates(traceparent: str | None, events: int = 1) -> Updates:
    position = Position("e", {0: events})
    return Updates(7, position, tuple(event("a", o) for o in range(events)), 0, traceparent)


def test_traced_message_is_a_span_that_goes_on_with_its_trace() -> None:
    traced = Traced()
    receipt = traced.tracing.begin("flights/JFK", updates(TRACEPARENT, 2), RECEIVED_NS)
    assert receipt is not None
    assert not traced.spans
    traced.now_ns += 1_500_000
    receipt.end()
    (span,) = traced.spans
    assert (span.name, span.kind) == ("receive flights", SpanKind.CONSUMER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "tidewire",
        "messaging.operation.name": "receive",
        "messaging.operation.type": "process",
        "messaging.destination.name": "flights/JFK",
        "messaging.destination.template": "flights",
        "messaging.batch.message_count": 2,
    }
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.parent.is_remote
    assert (span.start_time, span.end_time) == (RECEIVED_NS, RECEIVED_NS + 1_500_000)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "tidewire_client"
    assert span.instrumentation_scope.version == __version__


def test_messages_to_a_user_keep_their_name() -> None:
    traced = Traced()
    receipt = traced.tracing.begin("@me", updates(TRACEPARENT), RECEIVED_NS)
    assert receipt is not None
    receipt.end()
    assert [span.name for span in traced.spans] == ["receive @me"]


def test_span_ends_once_and_never_before_it_began() -> None:
    traced = Traced()
    receipt = traced.tracing.begin("flights", updates(TRACEPARENT), RECEIVED_NS)
    assert receipt is not None
    traced.now_ns -= 1_000_000_000
    receipt.end()
    receipt.end()
    (span,) = traced.spans
    assert span.end_time == RECEIVED_NS


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}-00",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"{TRACEPARENT}-more",
        f"{TRACEPARENT}\n",
    ],
)
def test_what_is_not_sampled_is_no_span(traceparent: str | None) -> None:
    assert Traced().tracing.begin("flights", updates(traceparent), RECEIVED_NS) is None


def test_later_version_of_the_standard_is_read_as_far_as_it_is_known() -> None:
    later = f"01-{TRACE}-{SPAN}-03-what-else"
    assert Traced().tracing.begin("flights", updates(later), RECEIVED_NS) is not None


def test_trace_that_is_no_text_is_none() -> None:
    frame = (
        '{"v":1,"type":"updates","payload":{"sub":7,"position":{"epoch":"e","offsets":{"0":1}},'
        '"events":[],"traceparent":7}}'
    )
    (received,) = decode(frame)
    assert isinstance(received.message, Updates)
    assert received.message.traceparent is None


class BrokenProvider(NoOpTracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no tracer today")


class BrokenProcessor(SimpleSpanProcessor):
    def __init__(self, broken: str) -> None:
        super().__init__(InMemorySpanExporter())
        self._broken = broken

    def on_start(self, span: Span, parent_context: object = None) -> None:
        if self._broken == "start":
            raise RuntimeError("no start today")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("no end today")


def broken_provider(what: str) -> Any:
    if what == "tracer":
        return BrokenProvider()
    provider = TracerProvider()
    provider.add_span_processor(BrokenProcessor(what))
    return provider


@pytest.mark.parametrize("broken", ["tracer", "start", "end"])
def test_fault_of_opentelemetry_is_logged_once_and_raised_never(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracing = Tracing(broken_provider(broken), lambda: RECEIVED_NS)
    with caplog.at_level(logging.WARNING, "tidewire_client"):
        for _ in range(2):
            receipt = tracing.begin("flights", updates(TRACEPARENT), RECEIVED_NS)
            if receipt is not None:
                receipt.end()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert f"no {broken} today" in str(record.exc_info[1])


class Note:
    """A receipt that stands for itself."""

    def end(self) -> None:
        raise AssertionError("a buffer ends nothing")


def offered(
    buffer: NewestBuffer | OrderedBuffer,
    offset: int,
    *,
    key: str = "a",
    traceparent: str | None = None,
    receipt: Receipt | None = None,
) -> None:
    arrival = Arrival(float(offset), traceparent, receipt)
    buffer.offer(Accepted((event(key, offset),)), Position("e", {0: offset + 1}), arrival)


def test_batch_in_order_tells_how_its_message_came() -> None:
    buffer = OrderedBuffer(10)
    first, second = Note(), Note()
    offered(buffer, 1, traceparent=TRACEPARENT, receipt=first)
    offered(buffer, 2, receipt=second)
    batch = buffer.take()
    assert batch is not None
    assert (batch.traceparent, batch.received_at) == (TRACEPARENT, 1.0)
    assert buffer.take_receipts() == [first]
    batch = buffer.take()
    assert batch is not None
    assert (batch.traceparent, batch.received_at) == (None, 2.0)
    assert buffer.take_receipts() == [second]
    assert buffer.take_receipts() == []


def test_folded_batch_tells_how_its_newest_message_came_and_stands_for_all() -> None:
    buffer = NewestBuffer(10, {})
    notes = [Note(), Note()]
    offered(buffer, 1, receipt=notes[0])
    offered(buffer, 2, traceparent=TRACEPARENT, receipt=notes[1])
    assert buffer.take_receipts() == []
    batch = buffer.take()
    assert batch is not None
    assert (batch.traceparent, batch.received_at) == (TRACEPARENT, 2.0)
    assert buffer.take_receipts() == notes
    offered(buffer, 3)
    assert buffer.take() is not None
    assert buffer.take_receipts() == []


def test_table_that_takes_the_place_of_messages_stands_for_them() -> None:
    note = Note()
    table = {f"k{o}": event(f"k{o}", o) for o in range(3)}
    buffer = NewestBuffer(2, table)
    for o in range(3):
        offered(buffer, o, key=f"k{o}", traceparent=TRACEPARENT, receipt=note if o == 1 else None)
    batch = buffer.take()
    assert batch is not None
    assert (batch.kind, batch.traceparent, batch.received_at) == ("snapshot", None, None)
    assert buffer.take_receipts() == [note]
