"""A WebSocket that outlives its ASGI call: what is left of it once the handshake is done.

There is no task and no queue for it. Inbound frames are still parsed by the library (pings, fragments, close
and UTF-8 stay its business); outbound, ready frames go straight to the transport.
"""

import asyncio
from typing import Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.protocol import Protocol as FrameProtocol

__all__ = ["AdoptedWebSocket", "Adopter"]

_CLOSE_TIMEOUT = 5.0
_SLICE = 4096
"""Bytes that are parsed before anybody asks whether their sender may send more: some 700 frames at the most."""
_INVALID_UTF8 = 1007


class Adopter(Protocol):
    """Who takes a connection over; every call comes from the event loop."""

    def on_reading(self) -> None:
        """Bytes have arrived: the calls for what they hold follow, and then `on_read`."""
        ...

    def on_read(self) -> None: ...

    def on_frames(self, count: int) -> None:
        """So many frames have come, of whatever kind: the calls for what they say follow, unless it calls `refuse`."""
        ...

    def on_text(self, data: bytes) -> None: ...

    def on_binary(self) -> None: ...

    def on_pong(self, nonce: bytes) -> None: ...

    def on_unsent(self) -> None:
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


class AdoptedWebSocket(asyncio.Protocol):
    """Takes the place of the protocol that shook hands; ``connections`` are those the server shuts down."""

    __slots__ = (
        "_adopter",
        "_close_timer",
        "_connections",
        "_is_lost",
        "_is_text",
        "_last_words",
        "_parts",
        "_pongs",
        "close_sent",
        "conn",
        "loop",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        conn: FrameProtocol,
        connections: set[asyncio.Protocol],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.transport = transport
        self.conn = conn
        self.loop = loop
        self.close_sent = False
        self._adopter: Adopter | None = None
        self._connections = connections
        self._is_lost = False
        self._is_text = False
        self._parts: bytearray | None = None  # of a message that is not complete
        self._pongs = b""
        self._last_words = b""
        self._close_timer: asyncio.TimerHandle | None = None

    def begin(self, adopter: Adopter, parts: list[bytes], *, is_text: bool) -> None:
        """Tell ``adopter`` everything from here on; ``parts`` is the message whose end has not come yet."""
        self._adopter = adopter
        self._parts = bytearray(b"".join(parts)) if parts else None
        self._is_text = is_text
        self._connections.add(self)
        self.transport.set_protocol(self)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the transport ends with it or after a few seconds."""
        if self.close_sent or self._is_lost or self.transport.is_closing():
            return
        self.close_sent = True
        if (
            self.conn.state is OPEN
        ):  # else the close or the fault that came in the same read is answered after it
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self._abort_later()

    def fail(self, code: int, reason: str) -> None:
        """Close because of what the adopter does not know of."""
        if self._adopter is not None:
            self._adopter.on_closing()
        self.close(code, reason)

    def refuse(self, code: int, reason: str) -> None:
        """Close without waiting for the other side's close: nothing that it sends is looked at any more."""
        self.conn.fail(code, reason)
        self._last_words = b"".join(self.conn.data_to_send())
        self._end()

    def close_transport(self) -> None:
        """Once: of asyncio's TLS transports one that is closed again answers no question any more."""
        if not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once: no close frame can pass a full socket."""
        self.transport.abort()

    def ping(self, nonce: bytes, frames: bytes = b"") -> None:
        """Ping, and write ``frames`` with it."""
        if not (self.close_sent or self.transport.is_closing()):
            self.conn.send_ping(nonce)
            self.transport.write(b"".join([*self.conn.data_to_send(), frames]))

    def pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    # What the transport and the server tell

    def data_received(self, data: bytes) -> None:
        """What was asked for is answered before a close or a fault that comes in the same read."""
        adopter = self._adopter
        assert adopter is not None
        adopter.on_reading()
        try:
            for start in range(0, len(data), _SLICE):
                self._parse(data[start : start + _SLICE], adopter)
                if self.transport.is_closing():
                    break
        finally:
            adopter.on_read()

    def _parse(self, data: bytes, adopter: Adopter) -> None:
        self.conn.receive_data(data)
        frames = cast(list[Frame], self.conn.events_received())
        answers = self.conn.data_to_send()
        if answers:
            pings = sum(frame.opcode is Opcode.PING for frame in frames)
            self._pongs = b"".join(answers[:pings])
            self._last_words = b"".join(answers[pings:])
        if frames:
            adopter.on_frames(len(frames))
        for frame in frames:
            self._receive(frame, adopter)
        if self.conn.parser_exc is not None:
            self._end()

    def eof_received(self) -> None:
        self._end()

    def pause_writing(self) -> None:
        if self._adopter is not None:
            self._adopter.on_unsent()

    def resume_writing(self) -> None:
        if self._adopter is not None:
            self._adopter.on_emptied()

    def shutdown(self) -> None:
        """The server ends (uvicorn calls this)."""
        if self._adopter is not None:
            self._adopter.on_shutdown()
        self.close_transport()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._is_lost = True
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        # Those that refer to one another are freed now, not by the collector.
        self.conn.parser.close()
        adopter, self._adopter = self._adopter, None
        if adopter is not None:
            adopter.on_lost()

    # Frames

    def _receive(self, frame: Frame, adopter: Adopter) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            adopter.on_pong(bytes(frame.data))
        elif opcode is Opcode.PING:
            self._write_pongs()
        elif opcode is Opcode.CLOSE:
            self._end()
        else:
            self._receive_data(frame, adopter)

    def _receive_data(self, frame: Frame, adopter: Adopter) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        data = bytes(frame.data)
        if self._parts is not None or not frame.fin:
            if self._parts is None:
                self._parts = bytearray()
            self._parts += data
            if not frame.fin:
                return
            data, self._parts = bytes(self._parts), None
        if not self.close_sent:
            self._receive_message(data, adopter)

    def _receive_message(self, data: bytes, adopter: Adopter) -> None:
        if not self._is_text:
            adopter.on_binary()
        elif _is_utf8(data):
            adopter.on_text(data)
        else:
            self.fail(_INVALID_UTF8, "invalid UTF-8")

    def _end(self) -> None:
        """Write what the library still has to say, and close; a full socket is not waited for long."""
        if self._adopter is not None:
            self._adopter.on_closing()
        self.transport.write(self._last_words)
        self._last_words = b""
        self.close_sent = True
        self._abort_later()
        self.close_transport()

    def _write_pongs(self) -> None:
        """Those of one read at once; none stands behind a close."""
        if self._pongs and not self.close_sent:
            self.transport.write(self._pongs)
        self._pongs = b""

    def _abort_later(self) -> None:
        if self._close_timer is None:
            self._close_timer = self.loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
