"""Targeted delivery around gateways under test: registry and mailboxes in memory, and a router by hand."""

import itertools
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.leaks import CANARY
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire.targeting.errors import RegistryUnavailableError
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.mailboxes_memory import MemoryMailboxes
from tidewire.targeting.messages import Letter, Message, inbox_record
from tidewire.targeting.registry import (
    Batch,
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Place,
)
from tidewire.targeting.topics import INBOX, TARGETED
from tidewire_gateway.targeted.service import TargetedParts
from tidewire_registry.core.leases import LeaseRules
from tidewire_registry.stores.memory import MemoryStore

__all__ = ["INBOX", "TARGETED", "MemoryRegistry", "TargetedWorld"]

_PARTITIONS = 3


def now_ms() -> int:
    return int(time.time() * 1000)


class MemoryRegistry:
    """Port `Registry` over the registry's own store in memory; ``is_away``: it does not answer."""

    def __init__(self, rules: LeaseRules) -> None:
        self._rules = rules
        self.is_away = False
        self.empty()

    def empty(self) -> None:
        """As if the store had lost everything."""
        self.store = MemoryStore(lambda: int(time.monotonic() * 1000), self._rules)

    async def register(
        self, announcement: NodeAnnouncement, *, replaces: str | None = None
    ) -> Lease:
        await self._answer()
        return await self.store.register(announcement, secrets.token_hex(16), replaces=replaces)

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        await self._answer()
        return await self.store.renew(node, epoch, state, load)

    async def release(self, node: str, epoch: str) -> None:
        await self._answer()
        await self.store.release(node, epoch)

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        await self._answer()
        return await self.store.announce(node, epoch, batch)

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        await self._answer()
        return await self.store.lookup(users)

    async def close(self) -> None:
        return

    async def _answer(self) -> None:
        if self.is_away:
            raise RegistryUnavailableError("the registry is away")
        await self.store.settle()


class TargetedWorld:
    """What surrounds nodes; `post` does what a router does, and may forget the inbox."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        lease: float = 10.0,
        second_look: float = 60.0,
        length: int = 100,
    ) -> None:
        self.broker = broker
        self.mailboxes = MemoryMailboxes(MailboxLimits(length=length), now_ms)
        self.registry = MemoryRegistry(LeaseRules(slots=4, lease_ms=round(lease * 1000)))
        self._second_look = second_look
        self._writer = broker.writer()
        self._ids = itertools.count()
        admin = broker.admin()
        admin.create(TopicSpec(TARGETED, _PARTITIONS, {}))
        admin.create(TopicSpec(INBOX, 4, {}))

    def parts(self, address: str = "http://127.0.0.1:1") -> TargetedParts:
        """For one node."""

        async def close() -> None:
            return

        return TargetedParts(
            registry=self.registry,
            reader=self.broker.reader(),
            mailboxes_of=lambda _epoch: self.mailboxes,
            address=address,
            targeted_topic=TARGETED,
            inbox_topic=INBOX,
            epoch="0",
            second_look=self._second_look,
            zone=None,
            close=close,
        )

    def forget_mailboxes(self) -> None:
        """As if their store had lost everything."""
        self.mailboxes = MemoryMailboxes(MailboxLimits(), now_ms)

    def forget_registry(self) -> None:
        self.registry.empty()

    def epoch(self) -> str:
        """Of the targeted topic."""
        return self.broker.admin().describe([TARGETED])[TARGETED].topic_id or "0"

    async def places(self, user: str) -> Sequence[Place]:
        return (await self.registry.store.lookup([user])).get(user, ())

    async def post(
        self,
        user: str,
        data: Any,
        *,
        to: Sequence[Place] | None = None,
        ttl_ms: int | None = None,
        collapse_key: str | None = None,
    ) -> Letter:
        """A message through mailbox and inboxes of the user's places, or of those in ``to``."""
        places = await self.places(user) if to is None else to
        value = json.dumps(data).encode()
        partition = partition_of(user.encode(), _PARTITIONS)
        note = [("note", CANARY.encode())]
        at = await self._writer.write(NewRecord(TARGETED, partition, user.encode(), value, note))
        message = Message(
            user,
            f"m{next(self._ids)}",
            value,
            now_ms(),
            ttl_ms,
            collapse_key,
            partition,
            at.offset,
        )
        (prev,) = await self.mailboxes.append([message])
        letter = Letter(
            user,
            message.id,
            value,
            message.ts_ms,
            message.ts_ms + 60_000,
            partition,
            at.offset,
            prev,
            message.is_kept,
            collapse_key,
        )
        for place in places:
            await self.send(letter, place)
        return letter

    async def send(self, letter: Letter, place: Place) -> None:
        """What a router writes to one inbox."""
        await self._writer.write(inbox_record(letter, INBOX, place.slot, place.epoch))
