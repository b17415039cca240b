"""Clients behind bad links, or that read slowly themselves, and a flow of events to keep them busy."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from harness.certificate import Certificate
from harness.gateway import FrameClient, Gateway, MemoryTopics
from tidewire.protocol.codes import SUBPROTOCOL
from tidewire_gateway.connection import Connection

__all__ = ["BytesHeld", "Flow", "Sighting", "SlowReader", "Viewer", "linked_client"]

_BUFFER = 2048
_SEGMENT = 536
_TICK = 0.05


class Flow:
    """Gives every key a new value ``interval`` seconds after the last; ``tick`` numbers the values.

    A value is ``{"n": tick, "fill": …}``, about ``size`` bytes.
    """

    def __init__(self, topics: MemoryTopics, *, keys: int, size: int, interval: float) -> None:
        self.tick = 0
        self.interval = interval
        self.keys = [f"G/{n}" for n in range(keys)]
        self._topics = topics
        self._fill = "x" * size

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Every key has the value of the last tick when the block is left."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run(stop))
            try:
                yield
            finally:
                stop.set()

    async def publish(self) -> None:
        self.tick += 1
        for key in self.keys:
            await self._topics.publish("flights", key, {"n": self.tick, "fill": self._fill})

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.publish()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):
                    await stop.wait()


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event as a client saw it; ``behind`` is the values of its key that were published meanwhile."""

    key: str
    n: int
    behind: int
    is_after_lagging: bool


class Viewer:
    """What a client knows from the messages it was sent."""

    def __init__(self, flow: Flow) -> None:
        self.values: dict[str, int] = {}
        self.sightings: list[Sighting] = []
        self.states: list[str] = []
        self.position: dict[str, Any] | None = None
        self.kinds: list[str] = []
        self._flow = flow

    def saw(self, message: dict[str, Any]) -> None:
        payload = message["payload"]
        self.kinds.append(message["type"])
        if message["type"] == "status":
            self.states.append(payload["state"])
        if "position" in payload:
            offsets = {} if self.position is None else self.position["offsets"]
            moved = {**offsets, **payload["position"]["offsets"]}
            self.position = {"epoch": payload["position"]["epoch"], "offsets": moved}
        for event in payload.get("events", ()):
            n = event["data"]["n"]
            assert n >= self.values.get(event["key"], 0), "a value went back"
            self.values[event["key"]] = n
            behind = self._flow.tick - n
            self.sightings.append(Sighting(event["key"], n, behind, "lagging" in self.states))

    def is_level(self) -> bool:
        return self.values == dict.fromkeys(self._flow.keys, self._flow.tick)

    async def watch(self, client: FrameClient) -> None:
        """Until the connection closes."""
        with contextlib.suppress(ConnectionClosed):
            async for text in client.connection:
                frame = json.loads(text)
                for message in frame if isinstance(frame, list) else [frame]:
                    self.saw(message)


class SlowReader:
    """A WebSocket on a small socket that takes ``rate`` bytes a second, set at any time; 0 stops it."""

    def __init__(self, sock: socket.socket, viewer: Viewer, rate: float) -> None:
        self.rate = rate
        self.viewer = viewer
        self.is_closed = False
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._protocol = ClientProtocol(
            parse_uri("ws://127.0.0.1/v1/ws"),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=None,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def reading(
        cls, port: int, viewer: Viewer, *, rate: float, requests: list[dict[str, Any]]
    ) -> AsyncIterator["SlowReader"]:
        """Connected, greeted, with ``requests`` sent behind the `hello`."""
        with _small_socket() as sock:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            reader = cls(sock, viewer, rate)
            reader._protocol.send_request(reader._protocol.connect())
            await reader._flush()
            task = asyncio.create_task(reader._run(requests))
            try:
                yield reader
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _run(self, requests: list[dict[str, Any]]) -> None:
        hello = {"v": 1, "type": "hello", "payload": {"client": "slow/1"}}
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(_TICK)  # the slowness is what is tested
                room = int(self.rate * _TICK)
                if room == 0:
                    continue
                data = await self._loop.sock_recv(self._sock, room)
                if not data:
                    break
                is_new = self._protocol.state is websockets.State.CONNECTING
                self._protocol.receive_data(data)
                if is_new and self._protocol.state is websockets.State.OPEN:
                    for message in (hello, *requests):
                        self._protocol.send_text(json.dumps(message).encode())
                self._take()
                await self._flush()
        self.is_closed = True

    def _take(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                frame = json.loads(bytes(event.data))
                for message in frame if isinstance(frame, list) else [frame]:
                    self.viewer.saw(message)

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            await self._loop.sock_sendall(self._sock, data)


class BytesHeld:
    """The most bytes that the server has held for a connection: in this process, and unacknowledged in its kernel."""

    def __init__(self) -> None:
        self.most = 0

    @contextlib.asynccontextmanager
    async def of(self, connection: Connection) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch(connection))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, connection: Connection) -> None:
        while True:
            unsent = connection.pressure.look()
            self.most = max(self.most, unsent.total + unsent.sent - unsent.acknowledged)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def linked_client(
    gateway: Gateway, port: int, certificate: Certificate | None
) -> AsyncIterator[FrameClient]:
    """A greeted client that reaches the gateway by another port, a proxy's, and reads what comes at once."""
    scheme = "ws" if certificate is None else "wss"
    context = None if certificate is None else certificate.client_context()
    with _small_socket() as sock:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        async with websockets.connect(
            f"{scheme}://127.0.0.1:{port}/v1/ws",
            sock=sock,
            ssl=context,
            compression=None,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ping_interval=None,
            open_timeout=20,
            close_timeout=0.1,
        ) as connection:
            client = FrameClient(connection)
            await client.hello()
            yield client


def _small_socket() -> socket.socket:
    """Takes little ahead of who reads it, in segments as a real network has them."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    return sock
