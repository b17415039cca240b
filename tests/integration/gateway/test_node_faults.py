"""A whole node over the in-memory broker, without sockets: what one bad partition or moment does to the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.virtual import VirtualClient
from harness.waiting import eventually
from tidewire.config.streams import Stream
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.memory_clients import MemoryReader
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, NewRecord, TopicPartition, TopicSpec
from tidewire.protocol.codes import Mode
from tidewire.telemetry.metrics import create_metrics
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway import backfills
from tidewire_gateway import reader as partition_reader
from tidewire_gateway.core.history import History
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.node import Node

LONG_AGO_MS = 1_600_000_000_000


class LeaderlessReader(MemoryReader):
    """No broker leads the partitions of topic ``bad``, once `is_leaderless` says so."""

    def __init__(self, broker: MemoryBroker, is_leaderless: Callable[[], bool]) -> None:
        super().__init__(broker)
        self._is_leaderless = is_leaderless

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        if self._is_leaderless() and any(p.topic == "bad" for p in partitions):
            raise BrokerUnavailableError("no leader")
        return await super().bounds(partitions)


def stream(topic: str, partitions: int = 1) -> Stream:
    modes = (Mode.LATEST, Mode.EVERY)
    return Stream(topic=topic, partitions=partitions, modes=modes, public=True)


def broker_with(**topics: int) -> MemoryBroker:
    broker = MemoryBroker()
    for topic, partitions in topics.items():
        broker.admin().create(TopicSpec(topic, partitions, {}))
    return broker


def fill(
    broker: MemoryBroker, topic: str, count: int, *, partition: int = 0, ts: int | None = None
) -> None:
    for n in range(count):
        broker.append(NewRecord(topic, partition, b"k%d" % n, b"%d" % n, timestamp_ms=ts))


@asynccontextmanager
async def running(
    broker: MemoryBroker,
    make_reader: Callable[[], RecordReader],
    *streams: Stream,
    topic_poll_interval: float = 10.0,
) -> AsyncIterator[Node]:
    node = Node(
        "node",
        {s.topic: s for s in streams},
        make_reader=make_reader,
        admin=broker.admin(),
        verifier=None,
        limits=Limits(live_timeout=3.0),
        history=History(log_window=120, tombstone_ttl=1e6, max_bytes=1 << 26),
        linger=30.0,
        topic_poll_interval=topic_poll_interval,
        instruments=Instruments(create_metrics("gateway")),
    )
    task = asyncio.create_task(node.run())
    try:
        yield node
    finally:
        task.cancel()
        await asyncio.wait([task])


def connect(node: Node, channel: str, **options: Any) -> VirtualClient:
    client = VirtualClient(node, SubscriptionState(), channel)  # type: ignore[arg-type] # all it uses is `delivery`
    client.subscribe(**options)
    return client


async def test_partition_without_a_leader_hinders_no_other() -> None:
    broker = broker_with(good=1, bad=1)
    streams = (stream("good"), stream("bad"))
    async with running(broker, lambda: LeaderlessReader(broker, lambda: True), *streams) as node:
        client = connect(node, "good", mode="every")
        await eventually(lambda: client.sub)
        connect(node, "bad")
        for n in range(1, 11):
            fill(broker, "good", 1)
            await eventually(lambda n=n: len(client.delivered) == n)  # type: ignore[misc]
        assert "stale" not in client.statuses


async def test_partition_that_loses_its_leader_makes_nobody_else_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_reader, "_MEASURE_INTERVAL", 0.01)
    broker = broker_with(good=1, bad=1)
    asked = 0

    def is_leaderless() -> bool:
        nonlocal asked
        asked += "bad" in lost
        return "bad" in lost

    lost: set[str] = set()
    streams = (stream("good"), stream("bad"))
    async with running(broker, lambda: LeaderlessReader(broker, is_leaderless), *streams) as node:
        clients = [connect(node, "good"), connect(node, "bad")]
        await eventually(lambda: all(client.sub for client in clients))
        lost.add("bad")
        await eventually(lambda: asked >= 3)
        assert clients[0].statuses == []


async def test_backfill_of_many_partitions_comes_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They hold more than one flight reads, and than is held at once."""
    monkeypatch.setattr(backfills, "_FLIGHT_BYTES", 50_000)
    monkeypatch.setattr(backfills, "_HELD_BYTES", 100_000)
    monkeypatch.setattr(backfills, "_GATHER", 0.001)
    monkeypatch.setattr(backfills, "_MARGIN", 10)
    broker = broker_with(t=8)
    for partition in range(8):
        fill(broker, "t", 500, partition=partition, ts=LONG_AGO_MS)
    epoch = broker.describe(["t"])["t"].topic_id
    offsets = {str(partition): 0 for partition in range(8)}
    async with running(broker, broker.reader, stream("t", 8)) as node:
        client = connect(node, "t", mode="every", since={"epoch": epoch, "offsets": offsets})
        await eventually(lambda: len(client.delivered) == 8 * 500, within=20)
    for partition in range(8):
        assert [o for p, o in client.delivered if p == partition] == list(range(500))


@pytest.mark.parametrize("mode", list(Mode))
async def test_topic_recreated_while_a_partition_of_it_is_asked_for_begins_anew(mode: Mode) -> None:
    broker = broker_with(t=1)
    fill(broker, "t", 100, ts=LONG_AGO_MS)
    old = broker.describe(["t"])["t"].topic_id
    was_asked, may_answer = asyncio.Event(), asyncio.Event()

    class HeldReader(MemoryReader):
        async def offsets_at(
            self, times: Mapping[TopicPartition, int]
        ) -> Mapping[TopicPartition, int]:
            found = await super().offsets_at(times)
            was_asked.set()
            await may_answer.wait()
            return found

    async with running(
        broker, lambda: HeldReader(broker), stream("t"), topic_poll_interval=0.02
    ) as node:
        client = connect(node, "t", mode=mode, since={"epoch": old, "offsets": {"0": 100}})
        await was_asked.wait()
        broker.admin().delete("t")
        broker.admin().create(TopicSpec("t", 1, {}))
        fill(broker, "t", 5)
        topology = node._topologies.by_stream["t"]
        await eventually(lambda: topology.epoch != old)
        may_answer.set()
        await eventually(lambda: len(client.delivered) == 5)
        assert client.gap_reasons == ["recreated"]
        assert client.delivered == [(0, n) for n in range(5)]


async def test_past_that_is_asked_for_again_while_it_is_read_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfills, "_GATHER", 0.0)
    broker = broker_with(t=1)
    fill(broker, "t", 100, ts=LONG_AGO_MS)
    epoch = broker.describe(["t"])["t"].topic_id
    reads = 0
    is_reading, may_go_on = asyncio.Event(), asyncio.Event()

    class SlowReader(MemoryReader):
        async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
            await super().assign(starts)
            if 0 in starts.values():
                nonlocal reads
                reads += 1
                is_reading.set()
                await may_go_on.wait()

    async with running(broker, lambda: SlowReader(broker), stream("t")) as node:
        since = {"epoch": epoch, "offsets": {"0": 0}}
        clients = [connect(node, "t", mode="every", since=since)]
        await is_reading.wait()
        clients.append(connect(node, "t", mode="every", since=since))
        may_go_on.set()
        await eventually(lambda: all(len(client.delivered) == 100 for client in clients))
        fill(broker, "t", 1)
        await eventually(lambda: all(len(client.delivered) == 101 for client in clients))
        metrics = node.instruments.metrics.render()[0].decode()
    assert reads == 1
    assert 'tidewire_backfills_total{outcome="read"} 1.0' in metrics
