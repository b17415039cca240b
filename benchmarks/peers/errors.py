"""What can go wrong with a peer; the message names the peer and the cure."""

from tidewire.bench.errors import BenchError

__all__ = ["PeerError", "PeerFileError"]


class PeerError(BenchError):
    """A peer cannot be started, does not answer or refuses a command."""


class PeerFileError(PeerError):
    """A file of peers cannot be used; the message names file, table and key."""
