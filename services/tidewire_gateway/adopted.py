"""A WebSocket that outlives its ASGI call.

The endpoint accepts the handshake through FastAPI like any route, hands the connection to an adopter and
returns; from then on there is no task and no queue for it. Inbound frames are still parsed by the library
(pings, fragments, close and UTF-8 stay its business); outbound, ready frames go straight to the transport.
This touches internals of uvicorn: the supported range is pinned, and a contract test holds it to them.
"""

from typing import Any, Protocol, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

__all__ = ["EXTENSION", "AdoptableProtocol", "Adopter"]

EXTENSION = "tidewire.connection"
_CLOSE_TIMEOUT = 5.0
_INVALID_UTF8 = 1007
_INTERNAL_ERROR = 1011


class Adopter(Protocol):
    """Who takes a connection over; every call comes from the event loop."""

    def on_text(self, data: bytes) -> None: ...

    def on_binary(self) -> None: ...

    def on_pong(self, nonce: bytes) -> None: ...

    def on_overfull(self) -> None:
        """More bytes than the transport's high-water mark wait to be written."""
        ...

    def on_emptied(self) -> None:
        """The transport has handed on what had made it overfull."""
        ...

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

    def adopt(self, adopter: Adopter) -> None:
        """Hand the accepted connection to ``adopter``, with whatever has arrived meanwhile."""
        waiting, self.queue = self.queue, cast(Any, None)
        self.adopter = adopter
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        while not waiting.empty():
            event = cast(dict[str, Any], waiting.get_nowait())
            if event["type"] == "websocket.receive":
                text = event.get("text")
                adopter.on_binary() if text is None else adopter.on_text(text.encode())
            elif event["type"] == "websocket.disconnect" and not self.disconnected:
                self.transport.close()
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

    def pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

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
            self.adopter.on_overfull()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.adopter is not None:
            self.adopter.on_emptied()

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


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
