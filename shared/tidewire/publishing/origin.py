"""What the surroundings add to an event: an id, the time, the caller's OpenTelemetry context."""

import uuid
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .events import Origin, rfc3339

__all__ = ["origin_of"]

_PROPAGATOR = TraceContextTextMapPropagator()


def origin_of(source: str, timestamp_ms: int | None = None) -> Origin:
    """The origin of an event that the calling code publishes now, at ``timestamp_ms`` if it gives one."""
    when = datetime.now(UTC)
    if isinstance(timestamp_ms, int) and 0 <= timestamp_ms <= 253_402_300_799_999:
        when = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return Origin(
        source=source, event_id=str(uuid.uuid4()), time=rfc3339(when), trace=_current_trace()
    )


def _current_trace() -> dict[str, str]:
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        _PROPAGATOR.inject(carrier)
    return carrier
