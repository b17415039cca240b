"""A gateway over the in-memory broker, with one stream of every kind."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from tidewire.kafka.memory import MemoryBroker
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "flights": {
        "topic": "flights",
        "partitions": 2,
        "group": "key-prefix",
        "table": True,
        "modes": ["latest", "every"],
        "public": True,
    },
    "notices": {"topic": "notices", "modes": ["every", "latest"], "public": True},
    "secret": {"topic": "secret", "group": "key-prefix", "table": True},
}

GatewayMaker = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture(autouse=True)
def _loop_is_never_blocked() -> Iterator[None]:
    """A blocking call of the gateway inside the event loop fails the test."""
    with blockbuster_ctx("tidewire_gateway"):
        yield


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
def make_gateway(topics: MemoryTopics, tmp_path: Path) -> GatewayMaker:
    path = write_streams(tmp_path, STREAMS)

    def make(**options: Any) -> AbstractAsyncContextManager[Gateway]:
        clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
        return running_gateway(path, clients, **options)

    return make


@pytest.fixture
async def gateway(make_gateway: GatewayMaker) -> AsyncIterator[Gateway]:
    async with make_gateway() as running:
        yield running
