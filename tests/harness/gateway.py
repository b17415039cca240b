"""A gateway node on a real socket in the test's own loop, and a client that speaks bare frames."""

import asyncio
import contextlib
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import websockets
import yaml
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection

from harness.certificate import Certificate
from harness.leaks import CANARY
from harness.one_address import LIFTED
from tidewire.config.transport import TlsSettings
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import NewRecord, RecordPosition, TopicPartition, TopicSpec
from tidewire.protocol.codes import SUBPROTOCOL
from tidewire_gateway.app import Clients, create_app
from tidewire_gateway.node import Node
from tidewire_gateway.server import Server, public_config
from tidewire_gateway.settings import GatewaySettings, LimitSettings

__all__ = [
    "FrameClient",
    "Gateway",
    "MemoryTopics",
    "gateway_settings",
    "running_gateway",
    "write_streams",
]

PATIENCE = 10.0


class MemoryTopics:
    """Publishes to the in-memory broker by topic; a header of each record is what no log may show."""

    def __init__(self, broker: MemoryBroker, streams: Mapping[str, Mapping[str, Any]]) -> None:
        self.broker = broker
        self._partitions = {s["topic"]: s.get("partitions", 1) for s in streams.values()}
        self._writer = broker.writer()
        admin = broker.admin()
        for stream in streams.values():
            admin.create(TopicSpec(stream["topic"], stream.get("partitions", 1), {}))

    def partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for n in range(self._partitions[topic])]

    async def publish(
        self,
        topic: str,
        key: str | None,
        data: Any,
        *,
        partition: int = 0,
        ts: int | None = None,
    ) -> RecordPosition:
        """``data`` bytes are written as they are, None removes the key, the rest becomes JSON."""
        value = data if isinstance(data, bytes | None) else json.dumps(data).encode()
        return await self._writer.write(
            NewRecord(
                topic,
                partition,
                None if key is None else key.encode(),
                value,
                [("note", CANARY.encode())],
                timestamp_ms=ts,
            )
        )


class FrameClient:
    """One WebSocket, message by message; every wait has a deadline."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._messages: deque[dict[str, Any]] = deque()
        self._last_id = 0

    async def send(self, kind: str, **payload: Any) -> int:
        self._last_id += 1
        await self.send_text(
            json.dumps({"v": 1, "type": kind, "id": self._last_id, "payload": payload})
        )
        return self._last_id

    async def send_text(self, text: str) -> None:
        await self.connection.send(text)

    async def receive(self) -> dict[str, Any]:
        """The next message; an array frame counts as several."""
        while not self._messages:
            async with asyncio.timeout(PATIENCE):
                frame = json.loads(await self.connection.recv())
            self._messages.extend(frame if isinstance(frame, list) else [frame])
        return self._messages.popleft()

    async def expect(self, kind: str) -> dict[str, Any]:
        """The payload of the next message, which is of this type."""
        message = await self.receive()
        assert message["type"] == kind, message
        payload: dict[str, Any] = message["payload"]
        return payload

    async def hello(self, token: str | None = None) -> dict[str, Any]:
        await self.send("hello", client="test/1", **({} if token is None else {"token": token}))
        return await self.expect("welcome")

    async def subscribe(self, channel: str, **options: Any) -> dict[str, Any]:
        await self.send("subscribe", channel=channel, **options)
        return await self.expect("subscribed")

    async def closed(self) -> tuple[int | None, str | None]:
        """Read on until the server closes; the code and reason it gave."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code, self.connection.close_reason


class Gateway:
    """A node that serves; ``app.state.node`` is its inside."""

    def __init__(self, app: FastAPI, server: Server, port: int) -> None:
        self.app = app
        self._server = server
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/v1/ws"
        self.port = port
        self.ended = asyncio.Event()

    def is_stopping(self) -> bool:
        """Whether it was told to, or has come to the end of its drain."""
        return self._server.should_exit

    def stop(self) -> None:
        """As SIGINT does."""
        self._server.should_exit = True

    @property
    def protocols(self) -> set[Any]:
        """What serves each socket now."""
        return cast(set[Any], self._server.server_state.connections)

    @property
    def node(self) -> Node:
        node: Node = self.app.state.node
        return node

    @contextlib.asynccontextmanager
    async def connect(
        self, *, hello: bool = True, token: str | None = None, **options: Any
    ) -> AsyncIterator[FrameClient]:
        options.setdefault("subprotocols", [SUBPROTOCOL])
        async with websockets.connect(self.ws, compression=None, **options) as connection:
            client = FrameClient(connection)
            if hello:
                await client.hello(token)
            yield client


def write_streams(folder: Path, streams: Mapping[str, Mapping[str, Any]]) -> Path:
    path = folder / "streams.yaml"
    path.write_text(yaml.safe_dump({"streams": {k: dict(v) for k, v in streams.items()}}))
    return path


def gateway_settings(
    streams: Path,
    certificate: Certificate | None = None,
    tls_reload_interval: float = 10.0,
    **options: Any,
) -> GatewaySettings:
    """Of a node that speaks TLS, or else plain text as behind a proxy that does."""
    if certificate is None:
        return GatewaySettings(streams=streams, trust_proxy_tls=True, **options)
    tls = TlsSettings(
        certificate_file=certificate.certificate,
        key_file=certificate.key,
        reload_interval=tls_reload_interval,
    )
    return GatewaySettings(streams=streams, tls=tls, **options)


@contextlib.asynccontextmanager
async def running_gateway(
    streams: Path,
    clients: Clients,
    limits: Mapping[str, Any] | None = None,
    certificate: Certificate | None = None,
    **options: Any,
) -> AsyncIterator[Gateway]:
    """A node on a free port, ended when the block is left; with a ``certificate`` it speaks TLS.

    Of the limits, those that would meet all clients here are lifted (`harness.one_address`), unless ``limits`` names them.
    """
    settings = gateway_settings(
        streams, certificate, limits=LimitSettings(**{**LIFTED, **(limits or {})}), **options
    )
    app = await asyncio.to_thread(create_app, settings, clients)
    listener = socket.create_server(("127.0.0.1", 0))
    started = asyncio.Event()
    server = Server(public_config(app, settings), started.set)
    gateway = Gateway(app, server, listener.getsockname()[1])
    if certificate is not None:
        gateway.http = gateway.http.replace("http:", "https:")
        gateway.ws = gateway.ws.replace("ws:", "wss:")
    app.state.stop = gateway.stop
    task = asyncio.create_task(server.serve(sockets=[listener]))
    task.add_done_callback(lambda _: gateway.ended.set())
    try:
        async with asyncio.timeout(PATIENCE):
            await started.wait()
        yield gateway
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task
        if app.state.failure is not None:
            raise app.state.failure
