"""What a publisher refuses, and why."""

from ..errors import TidewireError
from ..kafka.errors import BufferFullError

__all__ = [
    "BufferFullError",
    "InvalidEventError",
    "PublisherClosedError",
    "PublishingError",
    "UnknownStreamError",
]


class PublishingError(TidewireError):
    """The publisher did not take the event; nothing of it was written."""


class UnknownStreamError(PublishingError):
    """The stream is not in `streams.yaml`."""


class PublisherClosedError(PublishingError):
    """The publisher was closed before."""


class InvalidEventError(PublishingError):
    """A part of the event cannot be published.

    ``field`` names the part as the caller wrote it (`key`, `data`, `headers.<name>`, …), ``message``
    says what is wrong with it and what to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
