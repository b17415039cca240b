"""A gateway over the in-memory broker with its console: the internal port serves too."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websockets

from harness.gateway import PATIENCE, FrameClient, Gateway, gateway_settings, running_gateway
from tidewire.kafka.memory import MemoryBroker
from tidewire.system.streams import system_streams
from tidewire.topics.plan import spec_of
from tidewire_gateway.app import Clients
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.server import Server, internal_config

__all__ = ["ConsoleGateway", "console_clients", "console_gateway", "make_system_topics"]


def make_system_topics(broker: MemoryBroker) -> None:
    for stream in system_streams().values():
        broker.admin().create(spec_of(stream))


def console_clients(broker: MemoryBroker) -> Clients:
    return Clients(reader=broker.reader, admin=broker.admin, writer=broker.writer)


@dataclass(frozen=True)
class ConsoleGateway:
    gateway: Gateway
    internal: str

    @contextlib.asynccontextmanager
    async def connect_operator(
        self, token: str | None = None, **options: Any
    ) -> AsyncIterator[FrameClient]:
        """An operator's connection, welcomed."""
        url = f"{self.internal.replace('http', 'ws')}/v1/ws"
        async with websockets.connect(url, compression=None, **options) as connection:
            client = FrameClient(connection)
            await client.hello(token)
            yield client


@contextlib.asynccontextmanager
async def console_gateway(
    streams: Path, clients: Clients, *, limits: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[ConsoleGateway]:
    """Both ports of a node, until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with running_gateway(streams, clients, limits, console=True, **options) as gateway:
        settings = gateway_settings(streams, console=True)
        app = create_internal_app(gateway.app)
        started = asyncio.Event()
        server = Server(internal_config(app, settings), started.set)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(PATIENCE):
                await started.wait()
            yield ConsoleGateway(gateway, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            async with asyncio.timeout(PATIENCE):
                await task
