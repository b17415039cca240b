"""When an event has a `send` span, and which context travels with it."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.util.types import AttributeValue

from harness.spans import SpanKeeper, attributes_of, header_of, parent_of
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.records import NewRecord, RecordPosition
from tidewire.protocol.trace_context import is_traceparent, traceparent
from tidewire.protocol.trace_context import sampled as read_sampled
from tidewire.publishing.sending import Sends

TRACE_ID, SPAN_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAMPLED = traceparent(TRACE_ID, SPAN_ID)
UNSAMPLED = SAMPLED[:-1] + "0"
RECORD = NewRecord("flights", 3, "JFK/é".encode(), b'{"n":1}', [("ce_id", b"e-1")])


class Unasked(Tracer):
    """A tracer that nobody should ask: what it raises is no `Exception`, which would be held to be OpenTelemetry's."""

    def start_span(self, *_: Any, **__: Any) -> Span:
        pytest.fail("a span was begun")

    def start_as_current_span(self, *_: Any, **__: Any) -> Any:
        pytest.fail("a span was begun")


class Faulty(SpanProcessor):
    """Raises when a span starts, or when it ends."""

    def __init__(self, *, at_end: bool) -> None:
        self._at_end = at_end

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if not self._at_end:
            raise RuntimeError("a faulty processor")

    def on_end(self, span: ReadableSpan) -> None:
        if self._at_end:
            raise RuntimeError("a faulty processor")


class FaultySpan(NonRecordingSpan):
    """Records, and raises whatever is told of it; counts its ends."""

    ends = 0

    def is_recording(self) -> bool:
        return True

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        raise RuntimeError("a faulty span")

    def end(self, end_time: int | None = None) -> None:
        self.ends += 1


class FaultyTracer(Unasked):
    def __init__(self) -> None:
        context = SpanContext(TRACE_ID, 0x2, is_remote=False, trace_flags=TraceFlags(1))
        self.span = FaultySpan(context)

    def start_span(self, *_: Any, **__: Any) -> Span:
        return self.span


def faulty(*, at_end: bool) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Faulty(at_end=at_end))
    return provider.get_tracer("test")


def current(flags: int) -> Any:
    context = SpanContext(TRACE_ID, SPAN_ID, is_remote=False, trace_flags=TraceFlags(flags))
    return trace.use_span(NonRecordingSpan(context))


def test_a_span_tells_what_was_sent_and_its_place_travels() -> None:
    spans = SpanKeeper()
    with Sends(spans.tracer).begin("flights", {}) as send:
        assert send.carrying(RECORD) is RECORD
        assert send.written(RecordPosition("flights", 3, 41)).offset == 41
        assert not spans.ended
    [span] = spans.ended
    assert (span.name, span.kind, parent_of(span)) == ("send flights", SpanKind.PRODUCER, "")
    assert send.trace == {"traceparent": header_of(span)}
    assert attributes_of(span) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "flights",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.message.key": "JFK/é",
        "messaging.kafka.offset": 41,
        "messaging.message.id": "e-1",
        "messaging.message.body.size": 7,
    }


def test_a_removal_is_told_as_one() -> None:
    spans = SpanKeeper()
    with Sends(spans.tracer).begin("flights", {}) as send:
        send.carrying(RECORD._replace(value=None))
    told = attributes_of(spans.ended[0])
    assert told["messaging.kafka.message.tombstone"] is True
    assert told["messaging.message.body.size"] == 0


def test_the_callers_own_context_is_the_parent_whatever_the_event_came_with() -> None:
    spans = SpanKeeper()
    with (
        spans.tracer.start_as_current_span("caller") as caller,
        Sends(spans.tracer).begin("flights", {"traceparent": SAMPLED}),
    ):
        pass
    [send] = spans.named("send flights")
    assert isinstance(caller, ReadableSpan)
    assert parent_of(send) == header_of(caller)


def test_what_an_event_came_with_is_the_parent_of_who_has_no_context() -> None:
    spans = SpanKeeper()
    given = {"traceparent": SAMPLED, "tracestate": "vendor=x"}
    with Sends(spans.tracer).begin("flights", given) as send:
        pass
    [span] = spans.ended
    assert parent_of(span) == SAMPLED
    assert send.trace == {"traceparent": header_of(span), "tracestate": "vendor=x"}


def test_in_a_context_that_is_not_sampled_no_span_is_begun_and_it_travels_on() -> None:
    sends = Sends(Unasked())
    given = {"traceparent": UNSAMPLED, "tracestate": "vendor=x"}
    with sends.begin("flights", given) as send:
        send.carrying(RECORD)
    assert send.trace == given
    with current(TraceFlags.DEFAULT), sends.begin("flights", {"traceparent": SAMPLED}) as send:
        pass
    assert send.trace == {"traceparent": UNSAMPLED}


@pytest.mark.parametrize("given", [{}, {"traceparent": "nonsense"}, {"tracestate": "vendor=x"}])
def test_where_there_is_no_context_the_sampler_decides(given: dict[str, str]) -> None:
    sampled, unsampled = SpanKeeper(ALWAYS_ON), SpanKeeper(ALWAYS_OFF)
    with Sends(sampled.tracer).begin("flights", given) as send:
        pass
    [span] = sampled.ended
    assert (parent_of(span), send.trace["traceparent"]) == ("", header_of(span))
    with Sends(unsampled.tracer).begin("flights", given) as send:
        pass
    assert unsampled.ended == ()
    assert is_traceparent(send.trace["traceparent"].encode())
    assert read_sampled(send.trace["traceparent"].encode()) is None


def test_without_an_sdk_what_there_is_travels_on_as_it_is() -> None:
    sends = Sends()
    given = {"traceparent": SAMPLED, "tracestate": "vendor=x"}
    with sends.begin("flights", given) as send:
        send.carrying(RECORD)
    assert send.trace == given
    with sends.begin("flights", {}) as send:
        pass
    assert send.trace == {}
    with current(TraceFlags.SAMPLED), sends.begin("flights", {}) as send:
        pass
    assert send.trace == {"traceparent": SAMPLED}


def test_what_failed_says_why() -> None:
    spans = SpanKeeper()
    with pytest.raises(BrokerUnavailableError), Sends(spans.tracer).begin("flights", {}):
        raise BrokerUnavailableError("nobody answers")
    [span] = spans.ended
    assert attributes_of(span)["error.type"] == "BrokerUnavailableError"
    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "nobody answers",
    )


@pytest.mark.parametrize("at_end", [False, True])
def test_a_faulty_processor_hinders_no_event_and_is_told_once(
    at_end: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sends = Sends(faulty(at_end=at_end))
    for _ in range(2):
        with sends.begin("flights", {}) as send:
            assert send.carrying(RECORD) is RECORD
            assert send.written(RecordPosition("flights", 3, 41)).offset == 41
    assert [record.getMessage() for record in caplog.records] == [
        "spans may be missing: OpenTelemetry failed"
    ]


def test_where_no_span_can_be_begun_what_there_is_travels_on() -> None:
    sends = Sends(faulty(at_end=False))
    given = {"traceparent": SAMPLED, "tracestate": "vendor=x"}
    with sends.begin("flights", given) as send:
        assert send.trace == given
    with current(TraceFlags.SAMPLED), sends.begin("flights", given) as send:
        assert send.trace == {"traceparent": SAMPLED}


def test_a_span_that_nothing_can_be_told_of_ends_all_the_same() -> None:
    tracer = FaultyTracer()
    with Sends(tracer).begin("flights", {}) as send:
        assert send.carrying(RECORD) is RECORD
        assert send.written(RecordPosition("flights", 3, 41)).offset == 41
    with pytest.raises(BrokerUnavailableError), Sends(tracer).begin("flights", {}):
        raise BrokerUnavailableError("nobody answers")
    assert tracer.span.ends == 2
