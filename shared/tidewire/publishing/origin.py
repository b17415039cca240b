"""What the surroundings add to an event: an id, the time, the trace context that it travels in."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from .events import Origin, rfc3339
from .sending import current_trace

__all__ = ["origin_of"]


def origin_of(
    source: str, timestamp_ms: int | None = None, *, trace: Mapping[str, str] | None = None
) -> Origin:
    """The origin of an event that the calling code publishes now, at ``timestamp_ms`` if it gives one.

    ``trace`` are the headers of its context; None: the caller's own.
    """
    when = datetime.now(UTC)
    if isinstance(timestamp_ms, int) and 0 <= timestamp_ms <= 253_402_300_799_999:
        when = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return Origin(
        source=source,
        event_id=str(uuid.uuid4()),
        time=rfc3339(when),
        trace=current_trace() if trace is None else trace,
    )
