"""From one text to all clients: through a queue and a task per connection, or awaited one by one."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Protocol

from fastapi import WebSocket, WebSocketDisconnect

__all__ = ["AwaitedFanout", "Fanout", "QueuedFanout"]

_TOO_SLOW = 1008
_CLOSE_TIMEOUT = 5.0


class Fanout(Protocol):
    async def attend(self, websocket: WebSocket) -> None:
        """Send to this accepted connection until it closes; what it says is ignored."""
        ...

    async def send(self, text: str) -> None: ...


class AwaitedFanout:
    """``await send_text`` in a loop: one slow client stalls all."""

    def __init__(self) -> None:
        self._clients: set[WebSocket] = set()

    async def attend(self, websocket: WebSocket) -> None:
        self._clients.add(websocket)
        try:
            await _until_closed(websocket)
        finally:
            self._clients.discard(websocket)

    async def send(self, text: str) -> None:
        for websocket in list(self._clients):
            try:
                await websocket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                self._clients.discard(websocket)


@dataclass(frozen=True, slots=True)
class _Client:
    websocket: WebSocket
    queue: asyncio.Queue[str]
    writer: asyncio.Task[None]


class QueuedFanout:
    """A queue and a writer task per connection: a client whose queue is full is closed (1008)."""

    def __init__(self, queue_size: int) -> None:
        self._queue_size = queue_size
        self._clients: dict[WebSocket, _Client] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def attend(self, websocket: WebSocket) -> None:
        queue = asyncio.Queue[str](self._queue_size)
        writer = asyncio.create_task(_write(websocket, queue))
        self._clients[websocket] = _Client(websocket, queue, writer)
        try:
            await _until_closed(websocket)
        finally:
            self._clients.pop(websocket, None)
            writer.cancel()

    async def send(self, text: str) -> None:
        slow = []
        for client in self._clients.values():
            try:
                client.queue.put_nowait(text)
            except asyncio.QueueFull:
                slow.append(client)
        for client in slow:
            self._close(client)
        await asyncio.sleep(0)  # the writers' turn, also while more records are at hand

    def _close(self, client: _Client) -> None:
        del self._clients[client.websocket]
        client.writer.cancel()
        closing = asyncio.create_task(_close_slow(client.websocket))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _write(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it closed meanwhile
        while True:
            await websocket.send_text(await queue.get())


async def _close_slow(websocket: WebSocket) -> None:
    """Bounded, since also a Close waits until the socket takes what was written."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await websocket.close(_TOO_SLOW, "too slow")


async def _until_closed(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
