"""What `kafka_away` says of a node whose broker does not answer, and of one that does not ask it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness.gateway import FrameClient, Gateway, MemoryTopics, running_gateway, write_streams
from harness.readers import PassingReader
from harness.waiting import eventually
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, Fetched, TopicPartition
from tidewire_gateway.app import Clients

STREAMS = {"notices": {"topic": "notices", "modes": ["every", "latest"], "public": True}}

Nodes = Callable[[], AbstractAsyncContextManager[Gateway]]


class Outage:
    """Whether the broker is away; ``asked`` counts what readers asked of it meanwhile."""

    def __init__(self) -> None:
        self.is_on = False
        self.asked = 0

    def check(self) -> None:
        if self.is_on:
            self.asked += 1
            raise BrokerUnavailableError("switched off")


class CutOffReader(PassingReader):
    """Gets no answer during an outage."""

    def __init__(self, reader: RecordReader, outage: Outage) -> None:
        super().__init__(reader)
        self._outage = outage

    async def start(self) -> None:
        self._outage.check()
        await super().start()

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        self._outage.check()
        return await super().fetch(max_records=max_records, max_wait=max_wait, gather=gather)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        self._outage.check()
        return await super().bounds(partitions)

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        self._outage.check()
        return await super().offsets_at(times)


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def make_node(
    topics: MemoryTopics, outage: Outage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Nodes:
    """It lets go of partitions at once, and soon tries again."""
    monkeypatch.setattr("tidewire_gateway.reader._RETRY_MOST", 0.05)
    monkeypatch.setattr("tidewire_gateway.reader._TEND_INTERVAL", 0.05)
    monkeypatch.setattr("tidewire_gateway.reader._CHANGE_INTERVAL", 0.05)
    broker = topics.broker
    clients = Clients(lambda: CutOffReader(broker.reader(), outage), broker.admin)
    path = write_streams(tmp_path, STREAMS)
    return lambda: running_gateway(path, clients, {"live_timeout": 0.2}, linger=0.05)


def away(gateway: Gateway) -> float:
    text: str = gateway.node.instruments.metrics.render()[0].decode()
    [line] = [line for line in text.splitlines() if line.startswith("tidewire_kafka_away ")]
    return float(line.split()[1])


async def told(client: FrameClient) -> str:
    """The state that it is told next."""
    while True:
        message = await client.receive()
        if message["type"] == "status":
            return str(message["payload"]["state"])


async def test_a_broker_that_came_late_is_not_away_though_nobody_reads(
    make_node: Nodes, outage: Outage
) -> None:
    outage.is_on = True
    async with make_node() as gateway:
        await eventually(lambda: away(gateway) == 1)
        outage.is_on = False
        await eventually(lambda: away(gateway) == 0)


async def test_who_reads_nothing_any_more_does_not_know_and_learns_it_with_the_next_reader(
    make_node: Nodes, outage: Outage
) -> None:
    async with make_node() as gateway:
        async with gateway.connect() as client:
            await client.subscribe("notices", mode="every")
            outage.is_on = True
            assert await told(client) == "stale"
            assert away(gateway) == 1
        await eventually(lambda: away(gateway) == 0)
        assert gateway.node.delivery.stale_since is None
        async with gateway.connect() as client:
            subscribed = await client.subscribe("notices", mode="every")
            assert subscribed["recovered"] == "none"
            assert await told(client) == "stale"
            assert away(gateway) == 1
            outage.is_on = False
            assert await told(client) == "live"
            assert away(gateway) == 0


async def test_an_outage_that_ends_before_the_first_partition_is_read_is_over_for_everybody(
    make_node: Nodes, outage: Outage
) -> None:
    async with make_node() as gateway, gateway.connect() as client:
        outage.is_on = True
        await client.send("subscribe", channel="notices", mode="every")
        await eventually(lambda: outage.asked > 0 and away(gateway) == 1)
        outage.is_on = False
        await eventually(lambda: away(gateway) == 0)
