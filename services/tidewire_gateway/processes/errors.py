"""What ends several nodes at once."""

from tidewire.errors import TidewireError

__all__ = ["UnusableNodeError"]


class UnusableNodeError(TidewireError):
    """A node, named, cannot be started as it is configured; it has said why on stderr."""
