"""Tidewire: Kafka-backed event streaming to WebSocket clients."""

from ._version import __version__

__all__ = ["__version__"]
