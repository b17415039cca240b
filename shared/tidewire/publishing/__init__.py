"""Publishing domain events: `AsyncPublisher` in an event loop, `Publisher` in a thread."""

from .async_publisher import AsyncPublisher
from .cloudevents import STRUCTURED_CONTENT_TYPE, from_structured
from .errors import (
    BufferFullError,
    InvalidEventError,
    PublisherClosedError,
    PublishingError,
    UnknownStreamError,
)
from .events import Event, EventLimits
from .sync_publisher import Publisher
from .user_events import TARGETED_TOPIC, UserEvent

__all__ = [
    "STRUCTURED_CONTENT_TYPE",
    "TARGETED_TOPIC",
    "AsyncPublisher",
    "BufferFullError",
    "Event",
    "EventLimits",
    "InvalidEventError",
    "Publisher",
    "PublisherClosedError",
    "PublishingError",
    "UnknownStreamError",
    "UserEvent",
    "from_structured",
]
