"""A partition's way through the router, one batch after another."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from tidewire.kafka.records import Record, RecordPosition
from tidewire.targeting.mailboxes import Mailboxes
from tidewire.targeting.messages import Letter, Message
from tidewire.targeting.registry import Place
from tidewire.telemetry.logging import get_logger

from .core.dead_letters import dead_letter_record, undecodable
from .core.inbox import inbox_records
from .core.intake import DeadLetter, sort_records
from .core.lifetimes import letter_of_message
from .core.partition import PartitionWork, Plan
from .core.remembered import CatchUp, Remembered
from .core.trace_ids import trace_id_of
from .gate import RegistryGate
from .instruments import Detour, Instruments, Outcome
from .outbox import AbandonedError, Attempts, Outbox
from .traces import MessageTraces

__all__ = ["Chunk", "Lane", "LaneLimits", "LaneParts"]

_PAGE: Final = 100
_CATCH_UPS_AT_ONCE: Final = 16

_log = get_logger(__name__)


class Chunk(NamedTuple):
    """Records of one partition, in order, that end below ``next_offset``."""

    records: Sequence[Record]
    next_offset: int
    undecodable: Sequence[RecordPosition] = ()


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """A lane that holds ``max_records`` or ``max_bytes`` is full; one of a half is not any more."""

    batch_records: int = 500
    max_records: int = 2000
    max_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What all lanes of a router share."""

    mailboxes: Mailboxes
    outbox: Outbox
    gate: RegistryGate
    instruments: Instruments
    inbox_topic: str
    dlq_topic: str
    ttl_ms: int
    limits: LaneLimits
    on_settled: Callable[[], None]
    partitions: int | None = None
    """Of the targeted topic; None: it is not looked whether a record stands in its user's."""
    traces: MessageTraces | None = None
    """None: no spans are made, and what a message came with goes on."""


class Lane:
    """`offer` takes what was read; `run` routes it. ``on_room`` is called when a full lane is full no more."""

    def __init__(
        self,
        parts: LaneParts,
        work: PartitionWork,
        remembered: Remembered,
        *,
        on_room: Callable[[], None],
    ) -> None:
        self.work = work
        self.is_full = False
        self._parts = parts
        self._remembered = remembered
        self._on_room = on_room
        self._chunks: deque[Chunk] = deque()
        self._records = 0
        self._bytes = 0
        self._due = asyncio.Event()
        self._is_ending = False
        self._attempts = Attempts(lambda: self._is_ending, parts.instruments)

    def offer(self, chunk: Chunk) -> None:
        """Always takes it; who sees `is_full` then reads no more of this partition."""
        limits = self._parts.limits
        self._chunks.append(chunk)
        self._records += len(chunk.records)
        self._bytes += _size(chunk.records)
        self.is_full = self._records >= limits.max_records or self._bytes >= limits.max_bytes
        self._due.set()

    def wake(self) -> None:
        """The registry answers again."""
        self._due.set()

    def end(self) -> None:
        """Let `run` return after the batch in work, or at once where that gets nowhere."""
        self._is_ending = True
        self._due.set()

    async def run(self) -> None:
        try:
            while not self._is_ending:
                if self._chunks:
                    await self._route(self._take())
                elif self.work.has_unconfirmed and not self._parts.gate.is_away:
                    await self._see_to((), None)
                else:
                    await self._due.wait()
                self._due.clear()
        except AbandonedError:
            _log.info("a batch is left to the partition's next owner")

    def _take(self) -> Chunk:
        """The chunks of one batch, as one."""
        records = list[Record]()
        broken = list[RecordPosition]()
        next_offset = 0
        while self._chunks and len(records) < self._parts.limits.batch_records:
            chunk = self._chunks.popleft()
            records += chunk.records
            broken += chunk.undecodable
            next_offset = chunk.next_offset
        self._records -= len(records)
        self._bytes -= _size(records)
        limits = self._parts.limits
        if self.is_full and self._records * 2 <= limits.max_records:
            self.is_full = self._bytes * 2 > limits.max_bytes
            if not self.is_full:
                self._on_room()
        return Chunk(records, next_offset, broken)

    async def _route(self, batch: Chunk) -> None:
        parts = self._parts
        intake = sort_records(
            batch.records, now_ms=_now_ms(), ttl_ms=parts.ttl_ms, partitions=parts.partitions
        )
        await self._bury([*map(undecodable, batch.undecodable), *intake.dead_letters])
        with self._processing(intake.messages) as messages:
            letters = await self._kept(messages)
            parts.instruments.count(Outcome.EXPIRED, intake.expired)
            if letters:
                parts.instruments.batch.observe(len(letters))
            await self._see_to(letters, batch.next_offset)

    def _processing(
        self, messages: Sequence[Message]
    ) -> contextlib.AbstractContextManager[Sequence[Message]]:
        traces = self._parts.traces
        return contextlib.nullcontext(messages) if traces is None else traces.processing(messages)

    async def _bury(self, dead: Sequence[DeadLetter]) -> None:
        if not dead:
            return
        trace = trace_id_of(letter.record for letter in dead)
        _log.warning("dead letters", count=len(dead), reason=dead[0].reason, **trace)
        records = [dead_letter_record(letter, self._parts.dlq_topic) for letter in dead]
        await self._parts.outbox.bury(records, self._attempts)
        self._parts.instruments.count(Outcome.DEAD_LETTER, len(dead))

    async def _kept(self, messages: Sequence[Message]) -> Sequence[Letter]:
        """The mailbox comes first: whatever happens from here on, it has the messages."""
        if not messages:
            return ()
        prevs = await self._attempts.store(lambda: self._parts.mailboxes.append(messages))
        return [
            letter_of_message(message, prev, self._parts.ttl_ms)
            for message, prev in zip(messages, prevs, strict=True)
        ]

    async def _see_to(self, letters: Sequence[Letter], next_offset: int | None) -> None:
        self.work.take(letters, next_offset)
        plan = await self._planned()
        rerouted = await self._caught_up(plan.catch_ups)
        await self._send(plan.routes)
        forgotten = self._remembered.forgotten
        self.work.finish(plan)
        self._count(plan, rerouted, self._remembered.forgotten - forgotten)
        self._parts.on_settled()

    async def _planned(self) -> Plan:
        """A plan; while the registry is away and there is no room to wait in, none comes and the lane stands."""
        while True:
            users = self.work.users_to_look_up(asyncio.get_running_loop().time())
            self._parts.instruments.users_from_cache.inc(self.work.known_users)
            answers = await self._parts.gate.lookup(users)
            plan = self.work.plan(answers, now_ms=_now_ms())
            if plan is not None:
                return plan
            await self._stand()

    async def _stand(self) -> None:
        held = self._parts.instruments.held
        held.inc()
        try:
            while self._parts.gate.is_away:
                if self._is_ending:
                    raise AbandonedError
                self._due.clear()
                await self._due.wait()
        finally:
            held.dec()

    async def _caught_up(self, catch_ups: Sequence[CatchUp]) -> int:
        """Send what was routed by old knowledge to the places that were not known then; returns how many letters."""
        count = 0
        for start in range(0, len(catch_ups), _CATCH_UPS_AT_ONCE):
            batch = catch_ups[start : start + _CATCH_UPS_AT_ONCE]
            tasks = [asyncio.create_task(self._catch_up(catch_up)) for catch_up in batch]
            try:
                count += sum(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()
        return count

    async def _catch_up(self, catch_up: CatchUp) -> int:
        count, after = 0, catch_up.first - 1
        while True:
            page = await self._attempts.store(
                partial(self._parts.mailboxes.read, catch_up.user, after, limit=_PAGE)
            )
            due = [letter for letter in page.letters if letter.offset <= catch_up.last]
            await self._send([(letter, catch_up.places) for letter in due])
            count += len(due)
            if page.is_complete or len(due) < len(page.letters) or not page.letters:
                return count
            after = page.letters[-1].offset

    async def _send(self, routes: Sequence[tuple[Letter, Sequence[Place]]]) -> None:
        """A record to each place of each letter; returns when all are acknowledged."""
        parts = self._parts
        if parts.traces is None:
            await parts.outbox.write(inbox_records(routes, parts.inbox_topic), self._attempts)
            return
        with parts.traces.sending(routes) as sending:
            records = inbox_records(sending.routes, parts.inbox_topic)
            await parts.outbox.write(records, self._attempts, sending.left_out)

    def _count(self, plan: Plan, rerouted: int, forgotten: int) -> None:
        instruments = self._parts.instruments
        instruments.routed(plan.routes, _now_ms())
        instruments.count(Outcome.EXPIRED, plan.expired)
        instruments.detour(Detour.STALE, len(plan.stale))
        instruments.detour(Detour.WAITED, len(plan.waiting))
        instruments.detour(Detour.REROUTED, rerouted)
        instruments.detour(Detour.FORGOTTEN, forgotten)


def _size(records: Sequence[Record]) -> int:
    return sum(len(record.value or b"") for record in records)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
