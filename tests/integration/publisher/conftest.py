from collections.abc import AsyncIterator

import httpx
import pytest

from integration.publisher.serving import TARGETED, publisher
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(TopicSpec("flights", 3, {}))
    broker.create(TopicSpec("notices", 1, {"max.message.bytes": "2000"}))
    broker.create(TopicSpec(TARGETED, 12, {}))
    return broker


@pytest.fixture
async def client(broker: MemoryBroker) -> AsyncIterator[httpx.AsyncClient]:
    async with publisher(broker) as client:
        yield client
