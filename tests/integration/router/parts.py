"""A router's surroundings in memory, and what a test reads of them."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.memory_group import MemoryGroup, MemoryGroupReader
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import (
    Header,
    NewRecord,
    Record,
    RecordPosition,
    TopicPartition,
    TopicSpec,
)
from tidewire.targeting.errors import PartitionsChangedError, RegistryUnavailableError
from tidewire.targeting.mailboxes import Mailboxes, MailboxLimits, Page
from tidewire.targeting.mailboxes_memory import MemoryMailboxes
from tidewire.targeting.messages import TTL, Letter, Message, letter_of
from tidewire.targeting.registry import Batch, Evicted, Lease, NodeAnnouncement, NodeState, Place
from tidewire.telemetry.metrics import Metrics, create_metrics
from tidewire_router.instruments import Instruments
from tidewire_router.router import Router, RouterParts
from tidewire_router.settings import RouterSettings
from tidewire_router.topic import TopicFacts
from tidewire_router.traces import MessageTraces

__all__ = ["FakeRegistry", "Running", "Site", "place", "targeted"]

INBOX, DLQ, TARGETED = "inbox", "dlq", "targeted"
SLOTS = 4


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def place(slot: int, epoch: str = "") -> Place:
    return Place(f"n{slot}", slot, epoch or f"epoch-{slot}", f"http://n{slot}", (f"c{slot}",))


def targeted(
    user: str,
    number: int,
    partitions: int,
    *,
    topic: str = TARGETED,
    ttl_ms: int | None = None,
    ts_ms: int | None = None,
) -> NewRecord:
    """A message as a publisher writes it; its id is ``user:number``."""
    headers: list[Header] = [("ce_id", f"{user}:{number}".encode())]
    if ttl_ms is not None:
        headers.append((TTL, b"%d" % ttl_ms))
    key = user.encode()
    return NewRecord(topic, partition_of(key, partitions), key, b"%d" % number, headers, ts_ms)


class FakeRegistry:
    """`Registry` of which only the lookup means something; ``places`` is what it knows."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[Place, ...]] = {}
        self.is_away = False
        self.lookups: list[Sequence[str]] = []
        self.answering = asyncio.Event()
        self.answering.set()

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        await asyncio.sleep(0)
        assert len(users) <= 1000
        if self.is_away:
            raise RegistryUnavailableError("the fake registry is switched off")
        self.lookups.append(tuple(users))
        await self.answering.wait()
        return {user: self.places[user] for user in users if self.places.get(user)}

    async def register(
        self, announcement: NodeAnnouncement, *, replaces: str | None = None
    ) -> Lease:
        raise NotImplementedError

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        raise NotImplementedError

    async def release(self, node: str, epoch: str) -> None:
        raise NotImplementedError

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to let go of."""


class SharedMailboxes:
    """Mailboxes that outlive the router that closes them, as those in Redis do."""

    def __init__(self) -> None:
        self.store = MemoryMailboxes(MailboxLimits(), now_ms)
        self.appended: list[Message] = []

    async def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        prevs = await self.store.append(messages)
        self.appended += messages
        return prevs

    async def read(self, user: str, after: int, *, limit: int = 100) -> Page:
        return await self.store.read(user, after, limit=limit)

    async def close(self) -> None:
        """The store stays."""


@dataclass
class Running:
    """A router that runs in a task of its own."""

    router: Router
    reader: MemoryGroupReader
    metrics: Metrics
    task: asyncio.Task[None]

    def metric(self, name: str, label: str = "") -> float:
        text = self.metrics.render()[0].decode()
        found = re.search(rf'^tidewire_{name}(?:{{\w+="{label}"}})? (\S+)$', text, re.MULTILINE)
        assert found, f"no metric {name} {label}"
        return float(found[1])


@dataclass
class Site:
    """Kafka, mailboxes and a registry, for as many routers as a test starts."""

    partitions: int = 2
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    mailboxes: SharedMailboxes = field(default_factory=SharedMailboxes)
    opened: list[TopicFacts] = field(default_factory=list)
    begun_with: int | None = None
    traces: MessageTraces | None = None

    def __post_init__(self) -> None:
        self.broker.create(TopicSpec(TARGETED, self.partitions, {}))
        self.broker.create(TopicSpec(INBOX, SLOTS, {}))
        self.broker.create(TopicSpec(DLQ, 1, {}))
        self.group = MemoryGroup(self.broker, TARGETED)

    @contextlib.asynccontextmanager
    async def router(self, **settings: object) -> AsyncIterator[Running]:
        """A router that is ready; stopped at the end, unless it has ended by itself."""
        running = self.start(**settings)
        await eventually(lambda: running.router.is_ready or running.task.done())
        try:
            yield running
        finally:
            running.router.stop()
            if not running.task.done():
                async with asyncio.timeout(10.0):
                    await running.task

    def start(self, **settings: object) -> Running:
        given = {
            "targeted_topic": TARGETED,
            "inbox_topic": INBOX,
            "dlq_topic": DLQ,
            "commit_interval": 0.01,
            "watch_interval": 0.05,
            "lookup_ttl": 0.05,
        }
        metrics = create_metrics("router")
        reader = self.group.reader()
        parts = RouterParts(
            reader=reader,
            writer=self.broker.writer(),
            registry=self.registry,
            make_admin=self.broker.admin,
            open_mailboxes=self._open,
            traces=self.traces,
        )
        router = Router(
            RouterSettings.model_validate(given | settings), parts, Instruments(metrics)
        )
        return Running(router, reader, metrics, asyncio.create_task(router.run()))

    async def _open(self, facts: TopicFacts) -> Mailboxes:
        if facts.partitions != (self.begun_with or facts.partitions):
            raise PartitionsChangedError("its mailboxes were begun with other partitions")
        self.opened.append(facts)
        return self.mailboxes

    def publish(
        self,
        user: str,
        number: int,
        *,
        ttl_ms: int | None = None,
        ts_ms: int | None = None,
        traceparent: str | None = None,
    ) -> RecordPosition:
        record = targeted(user, number, self.partitions, ttl_ms=ttl_ms, ts_ms=ts_ms)
        if traceparent is not None:
            record = record._replace(
                headers=(*record.headers, ("traceparent", traceparent.encode()))
            )
        return self.broker.append(record)

    def records(self, topic: str, partition: int = 0) -> list[Record]:
        return self.broker.log(TopicPartition(topic, partition)).read(0, 1 << 30)[0]

    def inbox(self, slot: int) -> list[tuple[str, Letter]]:
        return [letter_of(record) for record in self.records(INBOX, slot)]

    def ids(self, slot: int) -> list[str]:
        return [letter.id for _, letter in self.inbox(slot)]

    async def mailbox(self, user: str) -> list[str]:
        page = await self.mailboxes.read(user, -1, limit=1 << 30)
        return [letter.id for letter in page.letters]

    def committed(self) -> int:
        return sum(self.group.committed.values())
