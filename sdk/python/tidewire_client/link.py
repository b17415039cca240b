"""One live connection: handshake, requests and their replies, reading, liveness."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .codec import SUBPROTOCOL, Received, decode, encode
from .errors import MalformedFrameError
from .messages import ErrorReply, Goaway, ServerMessage, Welcome
from .options import Options
from .policy import LinkEnd, silence_timeout
from .tokens import LinkLost

if TYPE_CHECKING:
    from .subscription import Subscription

__all__ = ["Answer", "Link", "open_link"]

_MOST_OUTGOING = 1024
_PROTOCOL_ERROR = 1002
Answer = asyncio.Future[ServerMessage | None]
OnReply = Callable[[ServerMessage], None]
OnMessage = Callable[["Link", ServerMessage, int], None]


@dataclass(slots=True)
class _Pending:
    answered: Answer
    on_reply: OnReply | None
    timer: asyncio.TimerHandle


async def open_link(url: str, hello: Mapping[str, Any], options: Options) -> "Link":
    """Connect and say hello; the answer stands. Raises ``LinkLost``."""
    try:
        async with asyncio.timeout(options.connect_timeout):
            socket = await connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                ping_interval=None,  # the server pings; silence_timeout watches it
                open_timeout=None,  # the deadline above covers the handshake
                close_timeout=options.close_timeout,
                max_size=options.frame_bytes,
                ssl=_trust(url, options),
            )
            try:
                return Link(socket, await _greet(socket, hello), options)
            except BaseException:
                socket.transport.abort()
                raise
    except InvalidStatus as refused:
        raise LinkLost(_refusal(refused)) from refused
    except TimeoutError:
        raise LinkLost(LinkEnd(f"no welcome within {options.connect_timeout:g} s")) from None
    except (OSError, WebSocketException, MalformedFrameError) as error:
        raise LinkLost(LinkEnd(f"{type(error).__name__}: {error}")) from error


def _trust(url: str, options: Options) -> SSLContext | bool | None:
    """What `websockets` takes: True is its own context, None none."""
    if not url.lower().startswith("wss:"):
        return None
    return True if options.ssl is None else options.ssl


async def _greet(socket: ClientConnection, hello: Mapping[str, Any]) -> Welcome:
    retry_after: float | None = None
    try:
        await socket.send(encode("hello", 0, hello))
        while True:
            for received in decode(_text(await socket.recv())):
                if isinstance(received.message, Welcome):
                    return received.message
                retry_after = _retry_after(received.message) or retry_after
    except ConnectionClosed as closed:
        raise LinkLost(_end_of(closed, retry_after)) from closed


class Link:
    """A connection whose `welcome` has come.

    ``ended`` and ``goaway`` are futures; both are set by ``run``, which the owner starts as a task.
    """

    def __init__(self, socket: ClientConnection, welcome: Welcome, options: Options) -> None:
        self.welcome = welcome
        self.subscriptions: dict[int, Subscription] = {}
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[LinkEnd] = loop.create_future()
        self.goaway: asyncio.Future[Goaway] = loop.create_future()
        self._loop = loop
        self._socket = socket
        self._options = options
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(_MOST_OUTGOING)
        self._fault: LinkEnd | None = None
        self._retry_after: float | None = None

    async def run(self, on_message: OnMessage) -> None:
        """Read and write until the connection ends.

        ``on_message`` gets what answers no request, and when its frame came, in ns since 1970.
        """
        writer = asyncio.create_task(self._write())
        end = LinkEnd("closed by this client")
        try:
            end = await self._read(on_message)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._settle(end)
            await self._hang_up()

    def request(
        self, type_: str, payload: Mapping[str, Any], on_reply: OnReply | None = None
    ) -> Answer:
        """Send; the future has the reply, or None when the connection ended first.

        ``on_reply`` runs before any later frame is looked at.
        """
        answered: Answer = self._loop.create_future()
        if self.ended.done():
            answered.set_result(None)
            return answered
        self._last_id += 1
        timer = self._loop.call_later(self._options.request_timeout, self._unanswered, type_)
        self._pending[self._last_id] = _Pending(answered, on_reply, timer)
        try:
            self._outgoing.put_nowait(encode(type_, self._last_id, payload))
        except asyncio.QueueFull:
            self._abort(f"{_MOST_OUTGOING} requests wait to be written")
        return answered

    async def close(self) -> None:
        """Say goodbye; waits for the other side no longer than ``close_timeout``."""
        with contextlib.suppress(WebSocketException, OSError):
            await self._socket.close(1000)

    async def ends_within(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> bool:
        """Sleep, but wake at the end of the connection; whether it has ended."""
        sleeping = asyncio.ensure_future(sleep(seconds))
        either: set[asyncio.Future[Any]] = {sleeping, self.ended}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        return self.ended.done()

    async def _hang_up(self) -> None:
        self._socket.transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.close_timeout):
                await self._socket.wait_closed()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.send(await self._outgoing.get())

    async def _read(self, on_message: OnMessage) -> LinkEnd:
        patience = silence_timeout(self.welcome.ping_interval_ms)
        try:
            while True:
                async with asyncio.timeout(patience):
                    frame = await self._socket.recv()
                received_ns = self._options.surroundings.wall_ns()
                for received in decode(_text(frame)):
                    self._receive(received, received_ns, on_message)
        except TimeoutError:
            return LinkEnd(f"no sign of life for {patience or 0:g} s")
        except MalformedFrameError as error:
            with contextlib.suppress(WebSocketException, OSError):
                await self._socket.close(_PROTOCOL_ERROR, "malformed frame")
            return LinkEnd(str(error), _PROTOCOL_ERROR)
        except ConnectionClosed as closed:
            return self._fault or _end_of(closed, self._retry_after)

    def _receive(self, received: Received, received_ns: int, on_message: OnMessage) -> None:
        message = received.message
        if isinstance(message, Goaway) and not self.goaway.done():
            self.goaway.set_result(message)
        pending = None if received.id is None else self._pending.pop(received.id, None)
        if pending is None:
            self._retry_after = _retry_after(message) or self._retry_after
            on_message(self, message, received_ns)
            return
        pending.timer.cancel()
        if pending.on_reply is not None:
            pending.on_reply(message)
        if not pending.answered.done():
            pending.answered.set_result(message)

    def _unanswered(self, type_: str) -> None:
        self._abort(f"{type_} was not answered within {self._options.request_timeout:g} s")

    def _abort(self, reason: str) -> None:
        self._fault = self._fault or LinkEnd(reason)
        self._socket.transport.abort()

    def _settle(self, end: LinkEnd) -> None:
        self.ended.set_result(end)
        for pending in self._pending.values():
            pending.timer.cancel()
            if not pending.answered.done():
                pending.answered.set_result(None)
        self._pending.clear()
        self.subscriptions.clear()


def _text(frame: str | bytes) -> str:
    if isinstance(frame, str):
        return frame
    raise MalformedFrameError("frame is binary")


def _retry_after(message: ServerMessage) -> float | None:
    if isinstance(message, ErrorReply) and message.retry_after_ms is not None:
        return message.retry_after_ms / 1000
    return None


def _end_of(closed: ConnectionClosed, retry_after: float | None) -> LinkEnd:
    if closed.rcvd is None:
        return LinkEnd("connection lost", retry_after=retry_after)
    return LinkEnd(closed.rcvd.reason, closed.rcvd.code, retry_after=retry_after)


def _refusal(refused: InvalidStatus) -> LinkEnd:
    response = refused.response
    seconds = response.headers.get("Retry-After", "")
    return LinkEnd(
        f"handshake refused: HTTP {response.status_code} {response.reason_phrase}".rstrip(),
        status=response.status_code,
        retry_after=float(seconds) if seconds.isascii() and seconds.isdigit() else None,
    )
