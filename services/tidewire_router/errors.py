"""What can end a router."""

from tidewire.errors import TidewireError

__all__ = ["TopicChangedError"]


class TopicChangedError(TidewireError):
    """The targeted topic is another one than at the start: a router that is started again begins with it."""
