"""What a node does when a topic of a real Kafka is not what it was a moment ago, or no longer holds what is asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import FrameClient, Gateway, running_gateway, write_streams
from harness.kafka_topics import KafkaTopics
from tidewire.config.streams_file import load_streams
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import TopicPartition
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import AsyncPublisher
from tidewire.topics.apply import apply_topics
from tidewire_gateway.app import Clients

PARTITIONS = 2


class CountedReader(ConfluentReader):
    """Counts what is asked of the broker for those who resume."""

    def __init__(self, settings: KafkaSettings, assigned: list[Mapping[TopicPartition, int]]):
        super().__init__(settings)
        self._assigned = assigned

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        self._assigned.append(dict(starts))
        await super().assign(starts)


@pytest.fixture
def topics(real_kafka: str) -> KafkaTopics:
    return KafkaTopics(real_kafka)


@pytest.fixture
def streams_path(tmp_path: Path, unique_name: Callable[[str], str]) -> Path:
    common = {"partitions": PARTITIONS, "group": "key-prefix", "public": True}
    return write_streams(
        tmp_path,
        {
            "prices": {
                **common,
                "topic": unique_name("prices"),
                "table": True,
                "modes": ["latest"],
            },
            "notices": {
                **common,
                "topic": unique_name("notices"),
                "modes": ["every", "latest"],
            },
        },
    )


class System:
    """One stream's topic, those who publish to it, and nodes that serve it."""

    def __init__(self, streams_path: Path, bootstrap: str) -> None:
        self.streams = load_streams(streams_path).streams
        self._path = streams_path
        self._settings = KafkaSettings(bootstrap=bootstrap)
        self.assigned: list[list[Mapping[TopicPartition, int]]] = []

    def topic(self, stream: str) -> str:
        return self.streams[stream].topic

    async def publish(self, stream: str, *events: tuple[str, Any]) -> None:
        """With fresh knowledge of the topic's partitions."""
        async with AsyncPublisher.connect(self._settings.bootstrap, self.streams) as publisher:
            for key, data in events:
                await publisher.publish(stream, key, data)

    def _reader(self) -> CountedReader:
        assigned: list[Mapping[TopicPartition, int]] = []
        self.assigned.append(assigned)
        return CountedReader(self._settings, assigned)

    @asynccontextmanager
    async def node(self, **options: Any) -> AsyncIterator[Gateway]:
        clients = Clients(self._reader, lambda: ConfluentAdmin(self._settings))
        options = {"topic_poll_interval": 0.5, **options}
        async with running_gateway(self._path, clients, **options) as gateway:
            yield gateway


@pytest.fixture
async def system(streams_path: Path, real_kafka: str) -> System:
    system = System(streams_path, real_kafka)
    admin = ConfluentAdmin(KafkaSettings(bootstrap=real_kafka))
    await asyncio.to_thread(apply_topics, admin, system.streams)
    admin.close()
    return system


Nodes = Callable[[], AbstractAsyncContextManager[Gateway]]


class Seen:
    """What a client was told of its one subscription."""

    def __init__(self, client: FrameClient) -> None:
        self._client = client
        self.events: list[tuple[str, Any]] = []
        self.snapshots = 0
        self.gaps: list[dict[str, Any]] = []
        self.epochs: list[str] = []
        self.statuses: list[str] = []

    @property
    def map(self) -> dict[str, Any]:
        return {key: data for key, data in dict(self.events).items() if data is not None}

    async def until(self, is_enough: Callable[["Seen"], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_enough(self):
                self._take(await self._client.receive())

    def _take(self, message: dict[str, Any]) -> None:
        kind, payload = message["type"], message["payload"]
        if kind == "snapshot":
            self.snapshots += not payload.get("more")
            self.events = []
        if kind in ("snapshot", "updates"):
            self.events += [(e["key"], e.get("data")) for e in payload["events"]]
            if payload["position"]["offsets"]:
                self.epochs.append(payload["position"]["epoch"])
        elif kind == "gap":
            self.gaps.append(payload)
        elif kind == "status":
            self.statuses.append(payload["state"])


async def test_recreated_topic_is_told_to_everybody_and_nobody_stalls(
    system: System, topics: KafkaTopics
) -> None:
    await system.publish("prices", ("A/1", 1), ("B/1", 1))
    await system.publish("notices", ("A/1", 1), ("A/2", 2))
    async with system.node() as gateway, gateway.connect() as one, gateway.connect() as two:
        await one.subscribe("prices")
        await two.subscribe("notices", mode="every")
        table, list_ = Seen(one), Seen(two)
        await table.until(lambda seen: seen.snapshots == 1)
        for stream in ("prices", "notices"):
            await asyncio.to_thread(topics.recreate, system.topic(stream), PARTITIONS)
        await system.publish("prices", ("A/1", 9))
        await system.publish("notices", *((f"A/{n}", n) for n in range(5)))
        await table.until(lambda seen: seen.map == {"A/1": 9} and seen.statuses[-1:] == ["live"])
        await list_.until(lambda seen: ("A/4", 4) in seen.events and "live" in seen.statuses)
        assert table.snapshots == 2
        assert len(set(table.epochs)) == 2
        assert [gap["reason"] for gap in list_.gaps] == ["recreated"]
        assert list_.events[-5:] == [(f"A/{n}", n) for n in range(5)]
        await system.publish("prices", ("B/1", 3))
        await table.until(lambda seen: seen.map == {"A/1": 9, "B/1": 3})


async def test_topic_recreated_with_fewer_partitions_leaves_nobody_waiting_for_the_others(
    system: System, topics: KafkaTopics
) -> None:
    await system.publish("prices", *((f"{group}/1", 1) for group in "ABCDEFGH"))
    async with system.node() as gateway, gateway.connect() as client:
        await client.subscribe("prices")
        seen = Seen(client)
        await seen.until(lambda seen: len(seen.map) == 8)
        await asyncio.to_thread(topics.recreate, system.topic("prices"), 1)
        await system.publish("prices", *((f"{group}/1", 2) for group in "ABCD"))
        await seen.until(lambda seen: seen.map == {f"{group}/1": 2 for group in "ABCD"})


async def test_topic_that_outgrew_the_old_one_before_anybody_looked_is_noticed(
    system: System, topics: KafkaTopics
) -> None:
    """Then the old offset is a good one in the new topic, and only its id tells."""
    await system.publish("notices", ("A/1", 1))
    async with system.node() as gateway, gateway.connect() as client:
        await client.subscribe("notices/A", mode="every")
        seen = Seen(client)
        await asyncio.to_thread(topics.recreate, system.topic("notices"), PARTITIONS)
        await system.publish("notices", *((f"A/{n}", n) for n in range(20)))
        await seen.until(lambda seen: bool(seen.gaps) and seen.events[-1:] == [("A/19", 19)])
        after = seen.events[-20:]
        assert seen.gaps[-1]["reason"] == "recreated"
        assert after == [(f"A/{n}", n) for n in range(20)]


async def test_added_partitions_are_read_and_groups_that_moved_lose_nothing(
    system: System, topics: KafkaTopics
) -> None:
    moved = next(
        group
        for group in (f"G{n}" for n in range(100))
        if partition_of(group.encode(), PARTITIONS) != partition_of(group.encode(), 5)
    )
    await system.publish("notices", (f"{moved}/1", 1))
    async with system.node() as gateway, gateway.connect() as one, gateway.connect() as two:
        await one.subscribe("notices", mode="every")
        await two.subscribe(f"notices/{moved}", mode="every")
        await asyncio.to_thread(topics.grow, system.topic("notices"), 5)
        await system.publish("notices", *((f"{moved}/1", n) for n in range(2, 6)))
        for client in (one, two):
            seen = Seen(client)
            await seen.until(lambda seen: len(seen.events) == 4)
            assert seen.events == [(f"{moved}/1", n) for n in range(2, 6)]
            assert seen.gaps == []
        metrics = gateway.node.instruments.metrics.render()[0].decode()
        assert 'tidewire_topic_changes_total{change="repartitioned"} 1.0' in metrics


async def test_position_older_than_memory_is_served_from_kafka_once_for_all(
    system: System, topics: KafkaTopics
) -> None:
    await system.publish("notices", *((f"A/{n}", n) for n in range(300)))
    partition = str(partition_of(b"A", PARTITIONS))
    async with system.node(log_bytes=4096) as gateway, gateway.connect() as first:
        epoch = (await first.subscribe("notices/A", mode="every"))["position"]["epoch"]
        clients = []
        async with asyncio.TaskGroup() as tasks:
            for n in range(20):
                since = {"epoch": epoch, "offsets": {partition: n}}
                clients.append(tasks.create_task(all_since(gateway, since)))
        for n, client in enumerate(clients):
            assert client.result() == ("exact", [(f"A/{i}", i) for i in range(n, 300)])
        reads = [starts for starts in system.assigned[1] if starts]
        assert len(reads) == 1
        metrics = gateway.node.instruments.metrics.render()[0].decode()
        assert 'tidewire_backfills_total{outcome="read"} 1.0' in metrics


async def all_since(gateway: Gateway, since: dict[str, Any]) -> tuple[str, list[tuple[str, Any]]]:
    async with gateway.connect() as client:
        subscribed = await client.subscribe("notices/A", mode="every", since=since)
        seen = Seen(client)
        await seen.until(lambda seen: seen.events[-1:] == [("A/299", 299)])
        return subscribed["recovered"], seen.events


async def test_position_below_the_start_of_the_log_is_a_gap_by_retention(
    system: System, topics: KafkaTopics
) -> None:
    await system.publish("notices", *((f"A/{n}", n) for n in range(100)))
    partition = partition_of(b"A", PARTITIONS)
    await asyncio.to_thread(topics.delete_records, system.topic("notices"), partition, 60)
    async with system.node(log_bytes=4096) as gateway, gateway.connect() as client:
        fresh = await client.subscribe("notices/A", mode="every")
        since = {"epoch": fresh["position"]["epoch"], "offsets": {str(partition): 10}}
        async with gateway.connect() as other:
            subscribed = await other.subscribe("notices/A", mode="every", since=since)
            seen = Seen(other)
            await seen.until(lambda seen: len(seen.events) == 40)
    assert subscribed["recovered"] == "gap"
    assert subscribed["gap"] == {str(partition): [10, 60]}
    assert subscribed["reason"] == "retention"
    assert seen.events == [(f"A/{n}", n) for n in range(60, 100)]


async def test_records_deleted_between_the_answer_and_the_read_are_a_gap_too(
    system: System, topics: KafkaTopics
) -> None:
    await system.publish("notices", *((f"A/{n}", n) for n in range(300)))
    partition = partition_of(b"A", PARTITIONS)
    async with system.node(log_bytes=4096) as gateway, gateway.connect() as first:
        fresh = await first.subscribe("notices/A", mode="every")
        await asyncio.to_thread(topics.delete_records, system.topic("notices"), partition, 100)
        since = {"epoch": fresh["position"]["epoch"], "offsets": {str(partition): 10}}
        async with gateway.connect() as client:
            subscribed = await client.subscribe("notices/A", mode="every", since=since)
            seen = Seen(client)
            await seen.until(lambda seen: len(seen.events) == 200)
    assert subscribed["recovered"] == "exact"
    assert [(gap["gap"], gap["reason"]) for gap in seen.gaps] == [
        ({str(partition): [10, 100]}, "retention")
    ]
    assert seen.events == [(f"A/{n}", n) for n in range(100, 300)]
