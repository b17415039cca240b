"""Loopback ports: find a free one, and say clearly when a wanted one is taken."""

import random
import socket
from itertools import chain
from typing import Final

from .errors import PortInUseError

__all__ = ["LOOPBACK", "free_port", "require_free"]

LOOPBACK: Final = "127.0.0.1"
_OURS: Final = range(20_000, 32_768)
"""Below what Linux (32768) and macOS (49152) begin with for connections that go out."""
_given: set[int] = set()


def free_port() -> int:
    """A port that was free a moment ago, and that no earlier call has given.

    By chance from where the system takes none for connections that go out: until its taker listens, nobody else gets it.
    """
    begin = random.randrange(len(_OURS))  # noqa: S311 - chance, not a secret
    for port in chain(_OURS[begin:], _OURS[:begin]):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise PortInUseError(f"no port between {_OURS[0]} and {_OURS[-1]} is free: end what takes them")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def require_free(port: int, cure: str) -> None:
    """Raise `PortInUseError`, whose message ends with ``cure``, when ``port`` cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError as error:
            raise PortInUseError(f"port {port} needs more rights than you have: {cure}") from error
        except OSError as error:
            raise PortInUseError(f"port {port} is in use by another program: {cure}") from error
