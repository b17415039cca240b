"""TLS before HTTP: every socket is counted from its first moment, and must shake hands in time."""

import asyncio
from collections.abc import Callable, MutableSet
from enum import StrEnum
from ssl import SSLContext
from typing import Any, Final, cast

__all__ = ["Handshake", "TlsEntrance", "behind_tls"]

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds from the connection to the end of the handshake, however slowly its bytes come."""
SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds for the client's part of TLS' own farewell."""


class Handshake(StrEnum):
    """How one ended."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CROWDED_OUT = "crowded_out"


class TlsEntrance(asyncio.Protocol):
    """Shakes hands, and has what ``make_http`` makes take its place.

    uvicorn would leave the handshake to the event loop, which gives it 60 s and tells nobody of the socket until then: those
    that say nothing would take all descriptors. Here each stands among ``connections`` at once, and is aborted where
    those are more than ``most`` tells. No failure is logged, or strangers would fill the log; ``on_end`` counts them.
    """

    def __init__(
        self,
        make_http: Callable[[], Any],
        context: SSLContext,
        connections: MutableSet[Any],
        *,
        on_end: Callable[[Handshake], None],
        most: Callable[[], int] | None = None,
    ) -> None:
        self._make_http = make_http
        self._context = context
        self._connections = connections
        self._on_end = on_end
        self._most = most
        self._early: list[bytes] = []
        self._is_lost = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    # What the transport and the server tell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._transport = transport
        if self._most is not None and len(self._connections) >= self._most():
            self._on_end(Handshake.CROWDED_OUT)
            transport.abort()
            return
        self._connections.add(self)
        transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._enter(transport))
        loop.call_soon(self._hand_on, transport)

    def data_received(self, data: bytes) -> None:
        """Before the handshake: uvloop reads once, paused or not. Behind it: what the client sent with its end."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True

    def shutdown(self) -> None:
        """The server ends (uvicorn calls this)."""
        assert self._transport is not None
        self._transport.abort()

    def _hand_on(self, transport: asyncio.Transport) -> None:
        """Right after `start_tls` has begun; TLS has its transport next, and then these bytes before it reads any."""
        early, self._early = b"".join(self._early), []
        if early:
            asyncio.get_running_loop().call_soon(_feed, transport, early)

    async def _enter(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:
            is_late = isinstance(error, ConnectionAbortedError)
            self._on_end(Handshake.TIMED_OUT if is_late else Handshake.FAILED)
            return
        finally:
            self._connections.discard(self)
        if secured is None or transport.is_closing() or self._is_lost:  # aborted meanwhile
            self._on_end(Handshake.FAILED)
            return
        self._on_end(Handshake.DONE)
        http = self._make_http()
        secured.set_protocol(http)
        http.connection_made(secured)
        if self._early:
            http.data_received(b"".join(self._early))


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    while data and not transport.is_closing():
        protocol = cast(asyncio.BufferedProtocol, transport.get_protocol())
        buffer = cast(memoryview, protocol.get_buffer(len(data)))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]


def behind_tls(
    http: Callable[..., Any],
    context: SSLContext,
    *,
    on_end: Callable[[Handshake], None],
    most: Callable[[], int] | None = None,
) -> Any:
    """A protocol for uvicorn's ``http``: what it would make of ``http`` is made once hands are shaken."""

    def entrance(**parts: Any) -> TlsEntrance:
        connections: MutableSet[Any] = parts["server_state"].connections
        return TlsEntrance(lambda: http(**parts), context, connections, on_end=on_end, most=most)

    return entrance
