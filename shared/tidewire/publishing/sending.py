"""The `send` span of an event: begun where it is published, ended by what became of it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .._version import __version__
from ..kafka.records import NewRecord, RecordPosition
from ..protocol.trace_context import TRACEPARENT, is_traceparent, sampled

__all__ = ["Send", "Sends", "current_trace"]

_SCOPE: Final = "tidewire"
_ID: Final = "ce_id"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NOWHERE: Final = Context()


def current_trace() -> Mapping[str, str]:
    """The caller's trace context as headers; empty where it has none."""
    return _headers_of(trace.get_current_span())


class Sends:
    """Begins spans by ``tracer``; None: by the process's, of OpenTelemetry's API, which makes none where no SDK is set up."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = trace.get_tracer(_SCOPE, __version__) if tracer is None else tracer
        self._named: dict[str, tuple[str, Mapping[str, str]]] = {}  # there are as many as topics

    def begin(self, topic: str, given: Mapping[str, str], *, system: str = "kafka") -> "Send":
        """An event is published to ``topic``; ``given`` is the context it came with, where the caller has none of its own.

        Nothing is begun in a context that is not sampled: that goes on as it is. Where there is none, the tracer decides.
        """
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            if not current.trace_flags.sampled:
                return Send(None, current_trace())
            span = self._start(topic, system, None)
            return Send(span, _headers_of(span))
        context = _NOWHERE
        if given:
            traceparent = given.get(TRACEPARENT, "").encode(errors="replace")
            if sampled(traceparent) is not None:
                context = _PROPAGATOR.extract(given, _NOWHERE)
            elif is_traceparent(traceparent):
                return Send(None, given)
        span = self._start(topic, system, context)
        return Send(span, _headers_of(span))

    def _start(self, topic: str, system: str, context: Context | None) -> Span:
        named = self._named.get(topic)
        if named is None:
            named = self._named[topic] = _named(topic, system)
        name, attributes = named
        return self._tracer.start_span(name, context, SpanKind.PRODUCER, attributes)


class Send:
    """One event on its way, for the length of a `with` block; an error that leaves the block is the span's.

    ``trace`` are the headers that go with the event.
    """

    __slots__ = ("_span", "trace")

    def __init__(self, span: Span | None, trace: Mapping[str, str]) -> None:
        self._span = span if span is not None and span.is_recording() else None
        self.trace = trace

    def carrying(self, record: NewRecord) -> NewRecord:
        """What the event has become."""
        span = self._span
        if span is not None:
            event_id = next(text for name, text in record.headers if name == _ID)
            self.describe(event_id.decode(), len(record.value or b""))
            span.set_attribute("messaging.destination.partition.id", str(record.partition))
            if record.key is not None:
                span.set_attribute("messaging.kafka.message.key", record.key.decode())
            if record.value is None:
                span.set_attribute("messaging.kafka.message.tombstone", True)
        return record

    def describe(self, event_id: str, size: int) -> None:
        """The event's id, and the bytes of its data."""
        if self._span is not None:
            self._span.set_attribute("messaging.message.id", event_id)
            self._span.set_attribute("messaging.message.body.size", size)

    def written(self, at: RecordPosition) -> RecordPosition:
        """The broker has acknowledged it."""
        if self._span is not None:
            self._span.set_attribute("messaging.kafka.offset", at.offset)
        return at

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is None:
            return
        if kind is not None:
            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(StatusCode.ERROR, str(error))
        self._span.end()


def _named(topic: str, system: str) -> tuple[str, Mapping[str, str]]:
    """A span's name, and what is known of it before there is an event."""
    return f"send {topic}", {
        "messaging.system": system,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": topic,
    }


def _headers_of(span: Span) -> Mapping[str, str]:
    carrier: dict[str, str] = {}
    if span.get_span_context().is_valid:
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, _NOWHERE))
    return carrier
