"""One WebSocket at a chosen rate of reading: what arrives is handed on as it came."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tidewire_client.codec import SUBPROTOCOL
from tidewire_client.policy import LinkEnd

__all__ = ["RecordingLink", "open_link"]

_READ_BYTES = 64 * 1024
_SLOW_READS = 8  # a second, so that a slow reader is slow evenly


class RecordingLink(asyncio.BufferedProtocol):
    """Frames go to ``on_frame``. ``opened`` is set by the handshake, ``ended`` by the end, never raising.

    ``read_rate`` is in bytes a second, None: as fast as they come.
    """

    def __init__(
        self, url: str, on_frame: Callable[[bytes], None], *, read_rate: float | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.url = url
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[LinkEnd] = loop.create_future()
        self.heard_at = loop.time()
        self.on_frame = on_frame
        self._loop = loop
        self._rate = read_rate
        size = _READ_BYTES if read_rate is None else max(16, int(read_rate / _SLOW_READS))
        self._buffer = bytearray(size)
        self._protocol = ClientProtocol(
            parse_uri(url), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None
        )
        self._transport: asyncio.Transport | None = None
        self._fault: LinkEnd | None = None
        self._is_paused = False
        self._pacing: asyncio.TimerHandle | None = None

    def send(self, text: str) -> None:
        self._protocol.send_text(text.encode())
        self._write()

    def pause_reading(self) -> None:
        """Take no more bytes from the socket."""
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._transport is not None and self._pacing is None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Say goodbye; frames that still come go nowhere."""
        self.on_frame = _ignore
        if self._transport is None or self.ended.done():
            return
        self.resume_reading()
        with contextlib.suppress(InvalidState):  # no handshake yet, or closing already
            self._protocol.send_close(1000)
            self._write()
        self._loop.call_later(2.0, self._transport.abort)

    def abort(self, reason: str) -> None:
        """Drop the connection without a word."""
        self._fault = self._fault or LinkEnd(reason)
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._protocol.send_request(self._protocol.connect())
        self._write()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.heard_at = self._loop.time()
        self._protocol.receive_data(bytes(memoryview(self._buffer)[:nbytes]))
        self._handle()
        if self._rate is not None and self._transport is not None:
            self._transport.pause_reading()
            self._pacing = self._loop.call_later(nbytes / self._rate, self._go_on)

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._handle()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
        end = self._fault or self._end(exc)
        self._transport = None
        if not self.opened.done():
            self.opened.set_result(None)
        if not self.ended.done():
            self.ended.set_result(end)

    def _go_on(self) -> None:
        self._pacing = None
        if not self._is_paused and self._transport is not None:
            self._transport.resume_reading()

    def _handle(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.TEXT:
                    self.on_frame(bytes(event.data))
            elif self._protocol.handshake_exc is None and not self.opened.done():
                self.opened.set_result(None)
        self._write()

    def _write(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport is None:
                return
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def _end(self, exc: Exception | None) -> LinkEnd:
        refusal = self._protocol.handshake_exc
        if isinstance(refusal, InvalidStatus):
            response = refusal.response
            seconds = response.headers.get("Retry-After", "")
            return LinkEnd(
                f"HTTP {response.status_code}",
                status=response.status_code,
                retry_after=float(seconds) if seconds.isdigit() else None,
            )
        closed = self._protocol.close_rcvd
        if closed is not None:
            return LinkEnd(closed.reason, closed.code)
        return LinkEnd(str(refusal or exc or "connection lost"))


async def open_link(
    url: str,
    on_frame: Callable[[bytes], None],
    *,
    read_rate: float | None = None,
    socket_options: Mapping[tuple[int, int], int] | None = None,
) -> RecordingLink:
    """A link whose handshake was tried: it stands, unless it has ``ended``. Raises ``OSError``.

    ``socket_options`` (level, name) are set before the socket connects.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        plug.setblocking(False)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for (level, name), value in (socket_options or {}).items():
            plug.setsockopt(level, name, value)
        await loop.sock_connect(plug, (parts.hostname, parts.port or 80))
        _, link = await loop.create_connection(
            lambda: RecordingLink(url, on_frame, read_rate=read_rate), sock=plug
        )
    except BaseException:
        plug.close()
        raise
    try:
        await link.opened
    except BaseException:
        link.abort("given up in the handshake")
        raise
    return link


def _ignore(frame: bytes) -> None:
    return
