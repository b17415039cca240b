"""Users on nodes that the registry knows, and what reaches the nodes' inboxes."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from tidewire.kafka.confluent_clients import ConfluentReader, ConfluentWriter
from tidewire.kafka.records import TopicPartition
from tidewire.kafka.settings import KafkaSettings
from tidewire.targeting.messages import Letter, letter_of
from tidewire.targeting.registry import Batch, Lease, NodeAnnouncement, Session
from tidewire.targeting.registry_http import HttpRegistry

from .parts import targeted

__all__ = ["Crowd", "Inboxes", "Pace", "announced"]


@dataclass(frozen=True)
class Crowd:
    """Who is where: the leases of the nodes, and each user's among them."""

    leases: Sequence[Lease]
    leases_by_user: Mapping[str, Sequence[Lease]]


@contextlib.asynccontextmanager
async def announced(registry_url: str, users: Sequence[str], nodes: int) -> AsyncIterator[Crowd]:
    """Users spread over live nodes, every tenth on two of them."""
    names = [f"node-{number}" for number in range(nodes)]
    leases: list[Lease] = []
    registry = HttpRegistry(registry_url)
    try:
        for name in names:
            lease = await registry.register(NodeAnnouncement(name, f"http://{name}"))
            leases.append(lease)  # at once: those that are there are released, whatever comes next
        by_user = {
            user: [leases[n % nodes], leases[(n + 1) % nodes]][: 2 if n % 10 == 0 else 1]
            for n, user in enumerate(users)
        }
        for name, lease in zip(names, leases, strict=True):
            own = [Session(u, f"{u}@{name}", 0) for u, held in by_user.items() if lease in held]
            await registry.announce(name, lease.epoch, Batch(connected=own))
        yield Crowd(leases, by_user)
    finally:
        for name, lease in zip(names, leases, strict=False):
            await registry.release(name, lease.epoch)
        await registry.close()


@dataclass
class Inboxes:
    """Letters as they come, by (user, epoch of the node)."""

    topic: str
    letters: defaultdict[tuple[str, str], list[Letter]] = field(
        default_factory=lambda: defaultdict(list)
    )
    first_seen: dict[str, float] = field(default_factory=dict)
    count: int = 0

    async def read(self, kafka: KafkaSettings, slots: int) -> None:
        """Until cancelled."""
        reader = ConfluentReader(kafka)
        await reader.start()
        try:
            await reader.assign({TopicPartition(self.topic, slot): 0 for slot in range(slots)})
            while True:
                fetched = await reader.fetch(max_records=1000, max_wait=0.2)
                now_ms = time.time() * 1000
                for record in fetched.records:
                    epoch, letter = letter_of(record)
                    self.letters[letter.user, epoch].append(letter)
                    self.first_seen.setdefault(letter.id, now_ms - letter.ts_ms)
                    self.count += 1
        finally:
            await reader.close()

    def ids(self, user: str, lease: Lease) -> list[str]:
        """Without what came once more."""
        return list(dict.fromkeys(letter.id for letter in self.letters[user, lease.epoch]))


class Pace:
    """Publishes to users in turn, so many messages in a second."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: int) -> None:
        self._writer = ConfluentWriter(kafka)
        self._topic = topic
        self._partitions = partitions
        self.ids_by_user: defaultdict[str, list[str]] = defaultdict(list)
        self.count = 0

    async def publish(self, users: Sequence[str], *, rate: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        begin, end = loop.time(), loop.time() + seconds
        done = 0
        while (now := loop.time()) < end:
            for _ in range(int((now - begin) * rate) - done):
                user = users[self.count % len(users)]
                number = self.count // len(users)
                self._writer.offer(targeted(user, number, self._partitions, topic=self._topic))
                self.ids_by_user[user].append(f"{user}:{number}")
                self.count += 1
                done += 1
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        assert await asyncio.to_thread(self._writer.flush, 20.0) == 0
        await asyncio.to_thread(self._writer.close, 20.0)
