"""How long a node lets records gather follows from the intervals of those who are given them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.gateway import FrameClient, Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.memory_clients import MemoryReader
from tidewire.kafka.records import Fetched
from tidewire_gateway.app import Clients

STREAMS = {
    name: {"topic": name, "group": "key-prefix", "modes": ["latest"], "public": True}
    for name in ("board", "alerts")
}


@dataclass
class Asked:
    """What the node's reader was asked for last."""

    gather: list[float] = field(default_factory=list)


class AskedReader(MemoryReader):
    def __init__(self, broker: MemoryBroker, asked: Asked) -> None:
        super().__init__(broker)
        self._asked = asked

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        self._asked.gather[:] = [gather]
        return await super().fetch(max_records=max_records, max_wait=max_wait, gather=gather)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
async def gateway(tmp_path: Path, topics: MemoryTopics, asked: Asked) -> AsyncIterator[Gateway]:
    broker = topics.broker
    clients = Clients(lambda: AskedReader(broker, asked), broker.admin)
    async with running_gateway(write_streams(tmp_path, STREAMS), clients) as running:
        yield running


async def heard(client: FrameClient, topics: MemoryTopics, stream: str) -> None:
    await topics.publish(stream, "g/e", {"n": 1})
    await client.expect("updates")


async def test_records_gather_for_clients_with_an_interval_and_not_for_those_without(
    gateway: Gateway, topics: MemoryTopics, asked: Asked
) -> None:
    async with gateway.connect() as board, gateway.connect() as alerts:
        await board.subscribe("board", interval_ms=250, snapshot=False)
        await heard(board, topics, "board")
        await eventually(lambda: asked.gather == [0.025], within=5, what="board gathers")

        await alerts.subscribe("alerts", snapshot=False)
        await heard(alerts, topics, "alerts")
        await eventually(lambda: asked.gather == [0.0], within=5, what="nothing gathers")

        async def board_alone_is_heard() -> bool:
            await heard(board, topics, "board")
            return asked.gather == [0.025]

        await eventually(board_alone_is_heard, within=5, what="board gathers again")
