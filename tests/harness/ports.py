"""Free loopback ports for tests."""

from tidewire.dev.ports import LOOPBACK, free_port

__all__ = ["LOOPBACK", "free_port"]
