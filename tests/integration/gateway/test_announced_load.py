"""What a node tells the registry of itself, as its operators find it there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.targeted import TargetedWorld
from harness.waiting import eventually
from integration.gateway.conftest import STREAMS
from tidewire_gateway.app import Clients


@pytest.fixture
def world(topics: MemoryTopics) -> TargetedWorld:
    return TargetedWorld(topics.broker, lease=1.0)


@pytest.fixture
async def gateway(
    world: TargetedWorld, topics: MemoryTopics, tmp_path: Path
) -> AsyncIterator[Gateway]:
    clients = Clients(topics.broker.reader, topics.broker.admin, lambda _url: world.parts())
    async with running_gateway(write_streams(tmp_path, STREAMS), clients, linger=0.1) as running:
        yield running


async def is_told(world: TargetedWorld, *, connections: int, partitions: int) -> None:
    expected = {"connections": connections, "partitions": partitions}

    async def is_there() -> bool:
        views = (await world.registry.store.overview()).nodes
        return [view.load for view in views] == [expected]

    await eventually(is_there)


async def test_partitions_that_a_node_reads_are_told_with_each_renewal(
    gateway: Gateway, world: TargetedWorld
) -> None:
    await is_told(world, connections=0, partitions=0)
    async with gateway.connect() as client:
        await client.subscribe("flights", snapshot=False)
        await is_told(world, connections=1, partitions=2)
        await client.subscribe("notices", mode="every")
        await is_told(world, connections=1, partitions=3)
    await is_told(world, connections=0, partitions=0)
