"""Thousands of new channels within a second, over Apache Kafka: few changes of the assignment, no gap."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from harness.gateway import FrameClient, Gateway, running_gateway, write_streams
from harness.readers import PassingReader
from harness.waiting import eventually
from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import Bounds, TopicPartition
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import AsyncPublisher
from tidewire.topics.apply import apply_topics
from tidewire_gateway.app import Clients

PARTITIONS = 256
CHANNELS = 5_000
CONNECTIONS = 10
FRAME = 250
NEARLY_A_SECOND = 0.9  # a change begins a moment before its first question


@dataclass(frozen=True)
class Change:
    """One change of the assignment; it begins with the first question about what is new."""

    began_at: float
    partitions: frozenset[TopicPartition]


class CountedReader(PassingReader):
    """The reader of the node, with every change of its assignment noted."""

    def __init__(self, settings: KafkaSettings, changes: list[Change]) -> None:
        super().__init__(ConfluentReader(settings))
        self._changes = changes
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._began_at: float | None = None

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        self._assigned = frozenset(starts)
        self._changes.append(Change(self._began_at or time.monotonic(), self._assigned))
        self._began_at = None
        await super().assign(starts)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        if self._began_at is None and not self._assigned.issuperset(partitions):
            self._began_at = time.monotonic()
        return await super().bounds(partitions)


@pytest.fixture
def changes() -> list[Change]:
    return []


@pytest.fixture
def streams_path(tmp_path: Path, unique_name: Callable[[str], str]) -> Path:
    flights = {
        "topic": unique_name("storm"),
        "partitions": PARTITIONS,
        "group": "key-prefix",
        "modes": ["latest", "every"],
        "public": True,
    }
    return write_streams(tmp_path, {"flights": flights})


@pytest.fixture
def streams(streams_path: Path, real_kafka: str) -> dict[str, Stream]:
    streams = load_streams(streams_path).streams
    admin = ConfluentAdmin(KafkaSettings(bootstrap=real_kafka))
    apply_topics(admin, streams)
    admin.close()
    return dict(streams)


@pytest.fixture
async def gateway(
    streams_path: Path,
    streams: dict[str, Stream],
    real_kafka: str,
    changes: list[Change],
) -> AsyncIterator[Gateway]:
    settings = KafkaSettings(bootstrap=real_kafka)
    clients = Clients(lambda: CountedReader(settings, changes), lambda: ConfluentAdmin(settings))
    async with running_gateway(
        streams_path, clients, limits={"messages_in": 2 * CHANNELS}
    ) as running:
        yield running


@pytest.mark.timeout(120)
async def test_a_storm_of_channels_changes_the_assignment_once_a_second_and_loses_nothing(
    gateway: Gateway,
    changes: list[Change],
    streams: dict[str, Stream],
    real_kafka: str,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        connect = stack.enter_async_context
        publisher = await connect(AsyncPublisher.connect(real_kafka, streams))
        kept = await connect(gateway.connect())
        others = [await connect(gateway.connect()) for _ in range(CONNECTIONS)]
        await kept.subscribe("flights/KEPT", mode="every")
        (before,) = changes

        is_over = asyncio.Event()
        writing = asyncio.create_task(write_until(is_over, publisher))
        seeing = asyncio.create_task(see_all(kept, writing))
        answering = asyncio.create_task(all_answers(others))
        await storm(others)
        answered = await answering
        # On a slow machine the last ones were told `stale` and their partitions come later.
        await eventually(
            lambda: len(changes[-1].partitions) == PARTITIONS,
            within=30,
            what="all partitions assigned",
        )
        is_over.set()
        written = await writing
        seen = await seeing
        for client in others:  # what it has not read would hold up an orderly end
            client.connection.transport.abort()

    assert answered == set(channels())
    assert all(before.partitions <= change.partitions for change in changes)
    assert all(after.began_at - one.began_at > NEARLY_A_SECOND for one, after in pairwise(changes))
    assert seen == list(range(written))


def channels() -> list[str]:
    """In the order of their partitions: each frame wants some that no frame before wanted."""
    groups = [f"G{number}" for number in range(CHANNELS)]
    groups.sort(key=lambda group: partition_of(group.encode(), PARTITIONS))
    return [f"flights/{group}" for group in groups]


async def storm(clients: Sequence[FrameClient]) -> None:
    """All channels within a second, at an even pace."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    wanted = channels()
    for first in range(0, CHANNELS, FRAME):
        frame = [
            {"v": 1, "type": "subscribe", "id": number, "payload": {"channel": channel}}
            for number, channel in enumerate(wanted[first : first + FRAME], first + 1)
        ]
        await clients[first // FRAME % len(clients)].send_text(json.dumps(frame))
        due += FRAME / CHANNELS
        await asyncio.sleep(max(0.0, due - loop.time()))


async def all_answers(clients: Sequence[FrameClient]) -> set[str]:
    """The channels that were subscribed; anything but success fails."""
    each = await asyncio.gather(*(answers(client, CHANNELS // len(clients)) for client in clients))
    return set().union(*each)


async def answers(client: FrameClient, count: int) -> set[str]:
    answered: set[str] = set()
    while len(answered) < count:
        message = await client.receive()
        assert message["type"] != "error", message
        if message["type"] == "subscribed":
            answered.add(message["payload"]["channel"])
    return answered


async def write_until(is_over: asyncio.Event, publisher: AsyncPublisher) -> int:
    """Number events in one group until told to end; how many were written."""
    number = 0
    while not is_over.is_set() or number < 100:
        await publisher.publish("flights", "KEPT/1", number)
        number += 1
    return number


async def see_all(client: FrameClient, writing: "asyncio.Task[int]") -> list[int]:
    """What came of the numbered events, up to the last one written."""
    seen: list[int] = []
    while not (writing.done() and len(seen) >= writing.result()):
        message = await client.receive()
        if message["type"] == "updates":
            seen += [event["data"] for event in message["payload"]["events"]]
    return seen
