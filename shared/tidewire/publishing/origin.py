"""What the surroundings add to an event: an id, the time, the caller's OpenTelemetry context."""

import uuid
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .events import Event, Origin, rfc3339

__all__ = ["origin_of"]

_PROPAGATOR = TraceContextTextMapPropagator()


def origin_of(event: Event, source: str) -> Origin:
    """The origin of an event that is published now by the calling code."""
    when = datetime.now(UTC)
    if isinstance(event.timestamp_ms, int) and 0 <= event.timestamp_ms <= 253_402_300_799_999:
        when = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)
    return Origin(
        source=source, event_id=str(uuid.uuid4()), time=rfc3339(when), trace=_current_trace()
    )


def _current_trace() -> dict[str, str]:
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        _PROPAGATOR.inject(carrier)
    return carrier
