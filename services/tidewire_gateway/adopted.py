"""A WebSocket that outlives its ASGI call.

The endpoint accepts the handshake through FastAPI like any route, hands the connection to an adopter and
returns; from then on there is no task and no queue for it. Inbound frames are still parsed by the library
(pings, fragments, close and UTF-8 stay its business); outbound, ready frames go straight to the transport.
This touches internals of uvicorn: the supported range is pinned, and a contract test holds it to them.
"""

import asyncio
import socket
import sys
from typing import Any, Protocol, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

__all__ = ["EXTENSION", "AdoptableProtocol", "Adopter", "bytes_acknowledged"]

EXTENSION = "tidewire.connection"
_CLOSE_TIMEOUT = 5.0
_INVALID_UTF8 = 1007
_INTERNAL_ERROR = 1011
_ACKED_AT = 120  # tcpi_bytes_acked in struct tcp_info (linux/tcp.h)
_NOTSENT_LOWAT_BYTES = 16 * 1024


class Adopter(Protocol):
    """Who takes a connection over; every call comes from the event loop."""

    def on_text(self, data: bytes) -> None: ...

    def on_binary(self) -> None: ...

    def on_pong(self, nonce: bytes) -> None: ...

    def on_congested(self) -> None:
        """Unsent bytes have passed the high-water mark."""
        ...

    def on_drained(self) -> None: ...

    def on_shutdown(self) -> None:
        """The server is about to stop; say good-bye."""
        ...

    def on_closing(self) -> None:
        """The connection is about to end: nothing more may be written. May be told more than once."""
        ...

    def on_lost(self) -> None:
        """The connection has ended."""
        ...


class AdoptableProtocol(WebSocketsSansIOProtocol):
    """Puts itself into ``scope["extensions"]`` so that the endpoint can have it adopted."""

    adopter: Adopter | None = None

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            self.transport.close()
            return
        except Exception:
            self.logger.exception("exception in the WebSocket endpoint")
            self._fail()
            return
        if self.adopter is None:
            self._end_unadopted()
        else:
            self._free_handshake()

    def adopt(self, adopter: Adopter, *, high_water: int) -> None:
        """Hand the accepted connection to ``adopter``, with whatever has arrived meanwhile."""
        self.transport.set_write_buffer_limits(high=high_water, low=high_water // 4)
        _bound_kernel_buffer(self.transport)
        waiting, self.queue = self.queue, cast(Any, None)
        self.adopter = adopter
        while not waiting.empty():
            event = cast(dict[str, Any], waiting.get_nowait())
            if event["type"] == "websocket.receive":
                text = event.get("text")
                adopter.on_binary() if text is None else adopter.on_text(text.encode())
            elif event["type"] == "websocket.disconnect" and not self.disconnected:
                self.transport.close()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.disconnected:
            adopter.on_lost()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the transport ends with it or after a few seconds."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._abort_later()

    def abort(self) -> None:
        """End the connection at once: no close frame can pass a full socket."""
        self.transport.abort()

    def ping(self, nonce: bytes) -> None:
        if not (self.close_sent or self.transport.is_closing()):
            self.conn.send_ping(nonce)
            self.transport.write(b"".join(self.conn.data_to_send()))

    # Overridden, for an adopted connection only

    def send_receive_event_to_app(self) -> None:
        if self.adopter is None:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        if self.curr_msg_data_type != "text":
            self.adopter.on_binary()
        elif _is_utf8(data):
            self.adopter.on_text(data)
        else:
            self.adopter.on_closing()
            self.close(_INVALID_UTF8, "invalid UTF-8")

    def handle_pong(self, event: Frame) -> None:
        if self.adopter is not None:
            self.adopter.on_pong(bytes(event.data))

    def handle_close(self, event: Frame) -> None:
        if self.adopter is None:
            super().handle_close(event)
            return
        self._end()

    def eof_received(self) -> None:
        if self.adopter is not None:
            self._end()

    def handle_parser_exception(self) -> None:
        if self.adopter is None:
            super().handle_parser_exception()
            return
        self._end()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.adopter is not None:
            if not self.transport.is_closing():
                self.transport.pause_reading()  # who does not read gets no further answers
            self.adopter.on_congested()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.adopter is not None:
            if not self.transport.is_closing():
                self.transport.resume_reading()
            self.adopter.on_drained()

    def shutdown(self) -> None:
        if self.adopter is None:
            super().shutdown()
        else:
            self.adopter.on_shutdown()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.adopter is None:
            super().connection_lost(exc)
            return
        self.connections.discard(self)
        self.disconnected = True
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = None
        self.adopter.on_lost()

    def _end(self) -> None:
        """Write what the library still has to say, and close; a full socket is not waited for long."""
        assert self.adopter is not None
        self.adopter.on_closing()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._abort_later()
        self.transport.close()

    def _abort_later(self) -> None:
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)

    def _fail(self) -> None:
        """The endpoint broke: 500 before the upgrade, 1011 after it."""
        self.send_500_response()
        if self.adopter is not None:
            self.adopter.on_closing()
            self.close(_INTERNAL_ERROR, "internal error")
        else:
            self.transport.close()

    def _end_unadopted(self) -> None:
        if not self.handshake_complete and self.initial_response is None:
            self.logger.error("ASGI callable returned without completing handshake.")
            self.send_500_response()
        if self.close_timer is None:
            self.transport.close()

    def _free_handshake(self) -> None:
        """Let go of what only the ASGI call needed: it is most of a connection's memory."""
        unused = cast(Any, self)
        unused.scope = unused.request = unused.response = None


def bytes_acknowledged(transport: asyncio.Transport) -> int:
    """How many bytes the peer has acknowledged so far (Linux, TCP).

    Where the system does not tell: a number that moves with the bytes that are still unsent here.
    """
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_INFO", None)
    if sock is not None and option is not None and sock.fileno() >= 0:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _ACKED_AT + 8)
        if len(info) == _ACKED_AT + 8:
            return int.from_bytes(info[_ACKED_AT:], sys.byteorder)
    return -transport.get_write_buffer_size()


def _bound_kernel_buffer(transport: asyncio.Transport) -> None:
    """Keep unsent bytes out of the kernel, where nobody can take them back (Linux, macOS)."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    sock = transport.get_extra_info("socket")
    if option is not None and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, _NOTSENT_LOWAT_BYTES)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
