"""Ids are fresh, times are the event's, traces are the caller's."""

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState

from tidewire.publishing.origin import origin_of


def test_every_event_gets_its_own_id() -> None:
    ids = {origin_of("s").event_id for _ in range(100)}
    assert len(ids) == 100


def test_the_time_is_the_timestamps_when_there_is_one() -> None:
    origin = origin_of("s", 1_357_017_420_000)
    assert origin.time == "2013-01-01T05:17:00Z"


def test_without_a_span_there_is_no_trace() -> None:
    assert origin_of("s").trace == {}


def test_the_trace_is_that_of_the_current_span() -> None:
    context = SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "x")]),
    )
    with trace.use_span(NonRecordingSpan(context)):
        origin = origin_of("s")
    assert origin.trace == {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "vendor=x",
    }
