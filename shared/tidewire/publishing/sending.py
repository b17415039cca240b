"""The `send` span of an event: begun where it is published, ended by what became of it."""

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from .._version import __version__
from ..kafka.records import NewRecord, RecordPosition
from ..protocol.trace_context import TRACEPARENT, is_traceparent, sampled

__all__ = ["Send", "Sends", "current_trace"]

_logger = logging.getLogger(__name__)
_SCOPE: Final = "tidewire"
_ID: Final = "ce_id"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NOWHERE: Final = Context()

T = TypeVar("T")
_Attempt = Callable[[Callable[[], Any]], Any]


def current_trace() -> Mapping[str, str]:
    """The caller's trace context as headers; empty where it has none."""
    return _headers_of(trace.get_current_span())


class Sends:
    """Begins spans by ``tracer``; None: by the process's, of OpenTelemetry's API, which makes none where no SDK is set up.

    Whatever OpenTelemetry raises costs spans and is logged once; it never reaches who publishes.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = trace.get_tracer(_SCOPE, __version__) if tracer is None else tracer
        self._named: dict[str, tuple[str, Mapping[str, str]]] = {}  # there are as many as topics
        self._has_failed = False

    def begin(self, topic: str, given: Mapping[str, str], *, system: str = "kafka") -> "Send":
        """An event is published to ``topic``; ``given`` is the context it came with, where the caller has none of its own.

        Nothing is begun in a context that is not sampled: that goes on as it is. Where there is none, the tracer decides.
        """
        attempt = self._attempt
        return (
            attempt(lambda: self._begin(topic, given, system))
            or attempt(lambda: Send(None, current_trace() or given, attempt))
            or Send(None, given, attempt)
        )

    def _begin(self, topic: str, given: Mapping[str, str], system: str) -> "Send":
        current = trace.get_current_span().get_span_context()
        if current.is_valid:
            if not current.trace_flags.sampled:
                return Send(None, current_trace(), self._attempt)
            span = self._start(topic, system, None)
            return Send(span, _headers_of(span), self._attempt)
        context = _NOWHERE
        if given:
            traceparent = given.get(TRACEPARENT, "").encode(errors="replace")
            if sampled(traceparent) is not None:
                context = _PROPAGATOR.extract(given, _NOWHERE)
            elif is_traceparent(traceparent):
                return Send(None, given, self._attempt)
        span = self._start(topic, system, context)
        return Send(span, _headers_of(span), self._attempt)

    def _start(self, topic: str, system: str, context: Context | None) -> Span:
        named = self._named.get(topic)
        if named is None:
            named = self._named[topic] = _named(topic, system)
        name, attributes = named
        return self._tracer.start_span(name, context, SpanKind.PRODUCER, attributes)

    def _attempt(self, call: Callable[[], T]) -> T | None:
        """What it returns; None where OpenTelemetry fails."""
        try:
            return call()
        except Exception as error:  # a library's: traces are never the reason for anything
            if not self._has_failed:
                _logger.warning("spans may be missing: OpenTelemetry failed", exc_info=error)
            self._has_failed = True
            return None


class Send:
    """One event on its way, for the length of a `with` block; an error that leaves the block is the span's.

    ``trace`` are the headers that go with the event.
    """

    __slots__ = ("_attempt", "_span", "trace")

    def __init__(self, span: Span | None, trace: Mapping[str, str], attempt: _Attempt) -> None:
        self._span = span if span is not None and span.is_recording() else None
        self._attempt = attempt
        self.trace = trace

    def carrying(self, record: NewRecord) -> NewRecord:
        """What the event has become."""
        if self._span is not None:
            event_id = next(text for name, text in record.headers if name == _ID)
            about: dict[str, AttributeValue] = {
                "messaging.destination.partition.id": str(record.partition)
            }
            if record.key is not None:
                about["messaging.kafka.message.key"] = record.key.decode()
            if record.value is None:
                about["messaging.kafka.message.tombstone"] = True
            self.describe(event_id.decode(), len(record.value or b""))
            self._set(about)
        return record

    def describe(self, event_id: str, size: int) -> None:
        """The event's id, and the bytes of its data."""
        self._set({"messaging.message.id": event_id, "messaging.message.body.size": size})

    def written(self, at: RecordPosition) -> RecordPosition:
        """The broker has acknowledged it."""
        self._set({"messaging.kafka.offset": at.offset})
        return at

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        span = self._span
        if span is None:
            return
        if kind is not None:
            self._set({"error.type": kind.__qualname__})
            self._attempt(lambda: span.set_status(StatusCode.ERROR, str(error)))
        self._attempt(span.end)

    def _set(self, attributes: Mapping[str, AttributeValue]) -> None:
        span = self._span
        if span is not None:
            self._attempt(lambda: span.set_attributes(attributes))


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
