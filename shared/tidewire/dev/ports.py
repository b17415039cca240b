"""Loopback ports: find a free one, and say clearly when a wanted one is taken."""

import socket
from typing import Final

from .errors import PortInUseError

__all__ = ["LOOPBACK", "free_port", "require_free"]

LOOPBACK: Final = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


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
