"""The bytes of one connection that are on their way out: bounded, and looked at, down to the kernel."""

import asyncio
import gc
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from .core.pressure import Unsent

__all__ = ["NOTSENT_LOWAT", "SendQueue"]

NOTSENT_LOWAT = 16 * 1024
"""Bytes that the kernel takes beyond what it can send: without it 2.9 MB of stale frames fit in there."""

_TCP_INFO = struct.Struct("=120xQ16xI52xQQ")
"""Of struct tcp_info (linux/tcp.h): bytes_acked, notsent_bytes, bytes_sent, bytes_retrans; Linux 4.19."""


class SendQueue:
    """Reads the transports' buffers and the kernel's queue of one TCP connection, plain or TLS.

    ``buffered()`` gives the bytes that wait in this process; over TLS both layers count, encrypted.
    """

    __slots__ = ("_below", "_socket", "_transport", "buffered")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._below = _transport_below(transport)
        self._socket = cast(socket.socket | None, transport.get_extra_info("socket"))
        self.buffered: Callable[[], int] = transport.get_write_buffer_size
        if self._below is not None:
            self.buffered = self._buffered_in_both
        if not transport.is_closing():
            self._bound()

    @property
    def tells_all(self) -> bool:
        """Whether the protocol is told of every byte that waits: over TLS not of those below the layer."""
        return self._below is None

    def look(self) -> Unsent:
        """All that is unsent, now."""
        buffered = self.buffered()
        info = self._tcp_info()
        if len(info) < _TCP_INFO.size:
            return Unsent(buffered, 0, 0, -buffered)
        acknowledged, in_kernel, sent, again = _TCP_INFO.unpack(info)
        return Unsent(buffered, in_kernel, sent - again, acknowledged)

    def _buffered_in_both(self) -> int:
        assert self._below is not None
        return self._transport.get_write_buffer_size() + self._below.get_write_buffer_size()

    def _tcp_info(self) -> bytes:
        """What Linux tells of a TCP connection; empty on another system, socket, or when it is closed."""
        sock, option = self._socket, getattr(socket, "TCP_INFO", None)
        if sock is None or option is None or sock.fileno() < 0 or not _is_tcp(sock):
            return b""
        return sock.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO.size)

    def _bound(self) -> None:
        """Have the protocol told when bytes wait and when none do any more, and keep the kernel's part small.

        What the kernel holds nobody can take back (the option is of Linux and macOS).
        """
        self._transport.set_write_buffer_limits(high=0)
        if self._below is not None:
            self._below.set_write_buffer_limits(high=0)
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None and self._socket is not None and _is_tcp(self._socket):
            self._socket.setsockopt(socket.IPPROTO_TCP, option, NOTSENT_LOWAT)


def _is_tcp(sock: socket.socket) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6)


def _transport_below(transport: asyncio.Transport) -> asyncio.WriteTransport | None:
    """The TCP transport that carries a TLS one; None for one that is not TLS.

    Neither asyncio nor uvloop hands it out, and its buffer is where a slow client's bytes stand: it is found
    among what the TLS layer refers to.
    """
    if transport.get_extra_info("ssl_object") is None:
        return None
    for layer in gc.get_referents(transport):
        if type(layer).__name__ == "SSLProtocol":
            parts = [*gc.get_referents(layer), *getattr(layer, "__dict__", {}).values()]
            for part in parts:
                if part is not transport and hasattr(part, "set_write_buffer_limits"):
                    return cast(asyncio.WriteTransport, cast(Any, part))
    return None
