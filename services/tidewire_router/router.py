"""The router: a member of the group whose partitions each have a lane."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from tidewire.errors import TidewireError
from tidewire.http.health import Stage
from tidewire.kafka.errors import KafkaError
from tidewire.kafka.groups import GroupFetched
from tidewire.kafka.ports import GroupReader, RecordWriter, TopicAdmin
from tidewire.kafka.records import RecordPosition, TopicPartition
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.mailboxes import Mailboxes
from tidewire.targeting.registry import Registry
from tidewire.telemetry.logging import get_logger

from .backoff import Backoff
from .committing import Committing
from .core.lookups import LookupCache
from .core.partition import PartitionWork
from .core.remembered import Remembered
from .core.waiting import WaitingRoom
from .gate import RegistryGate
from .instruments import Failure, Instruments
from .lane import Chunk, Lane, LaneLimits, LaneParts
from .outbox import Outbox
from .settings import RouterSettings
from .topic import TargetedTopic, TopicFacts
from .traces import MessageTraces

__all__ = ["Router", "RouterParts"]

T = TypeVar("T")

_FETCH_WAIT: Final = 0.5
_COMMIT_TIMEOUT: Final = 2.0
_CLOSE_TIMEOUTS: Final = (1.5, 0.5, 0.5)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RouterParts:
    """What a router works with. ``open_mailboxes`` claims the topic, too; it raises `PartitionsChangedError`.

    ``traces`` None: no spans are made.
    """

    reader: GroupReader
    writer: RecordWriter
    registry: Registry
    make_admin: Callable[[], TopicAdmin]
    open_mailboxes: Callable[[TopicFacts], Awaitable[Mailboxes]]
    traces: MessageTraces | None = None


class Router:
    """`run` routes until `stop`, or until it cannot go on."""

    def __init__(
        self, settings: RouterSettings, parts: RouterParts, instruments: Instruments
    ) -> None:
        self.stage = Stage.STARTING
        self._settings = settings
        self._parts = parts
        self._instruments = instruments
        self._topic = TargetedTopic(settings.targeted_topic, parts.make_admin, epoch=settings.epoch)
        self._cache = LookupCache(ttl=settings.lookup_ttl, max_users=settings.lookup_cache_users)
        self._room = WaitingRoom(settings.waiting_limits)
        self._gate = RegistryGate(
            parts.registry, self._cache, instruments, on_answering=self._wake_lanes
        )
        self._committing = Committing(
            parts.reader, self._watermarks, instruments, interval=settings.commit_interval
        )
        self._mailboxes: Mailboxes | None = None
        self._lane_parts: LaneParts | None = None
        self._lanes: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()
        self._reason = "cancelled"
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_ready(self) -> bool:
        """Whether it routes, or could: Kafka, Redis and the registry may be away."""
        return self.stage is Stage.READY

    def stop(self, reason: str = "told to") -> None:
        """Let `run` finish what is in work, commit, leave the group and return."""
        self._reason = reason
        self._stopping.set()

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Raises `TidewireError` where the topic is not, or no longer, the one that its mailboxes belong to."""
        try:
            if await self._unless_stopped(self._begin()):
                self.stage = Stage.READY
                on_ready()
                await self._work()
        except Exception as error:
            self._reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.stage = Stage.DRAINING
            await self._end()

    async def _begin(self) -> None:
        facts = await self._persist(self._topic.look)
        self._mailboxes = await self._persist(partial(self._parts.open_mailboxes, facts))
        self._lane_parts = LaneParts(
            mailboxes=self._mailboxes,
            outbox=Outbox(self._parts.writer, self._instruments),
            gate=self._gate,
            instruments=self._instruments,
            inbox_topic=self._settings.inbox_topic,
            dlq_topic=self._settings.dlq_topic,
            ttl_ms=self._settings.ttl_ms,
            limits=LaneLimits(self._settings.batch_records, 4 * self._settings.batch_records),
            on_settled=self._settled,
            partitions=facts.partitions,
            traces=self._parts.traces,
        )
        self._facts = facts
        await self._persist(self._parts.writer.start)
        await self._persist(partial(self._parts.reader.start, self))
        _log.info("routing", epoch=facts.epoch, partitions=facts.partitions)

    async def _work(self) -> None:
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._read(), name="read"),
            asyncio.create_task(self._committing.run(), name="commit"),
            asyncio.create_task(self._gate.watch(), name="registry"),
            asyncio.create_task(self._watch(), name="topic"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        ends: list[asyncio.Future[Any]] = [*tasks, self._broken]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stage = Stage.DRAINING
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in (*ended, self._broken.exception() if self._broken.done() else None):
            if isinstance(result, Exception):
                raise result

    async def _end(self) -> None:
        """Every step is short, and none keeps the others from being taken."""
        await self.on_revoked(tuple(self._lanes))
        parts = self._parts
        closing: dict[str, Coroutine[Any, Any, None]] = {
            "reader": parts.reader.close(),
            "writer": parts.writer.close(),
            "registry": parts.registry.close(),
            "topic": self._topic.close(),
        }
        if self._mailboxes is not None:
            closing["mailboxes"] = self._mailboxes.close()
        await asyncio.gather(*(_closed(name, close) for name, close in closing.items()))
        if not self._broken.done():
            self._broken.cancel()
        _log.info("stopped", reason=self._reason)

    # What the reader tells.

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Finish what is in work, or leave it to whoever has the partitions next."""
        held = [(tp, *self._lanes.pop(tp)) for tp in partitions if tp in self._lanes]
        if not held:
            return
        self._instruments.rebalances.inc()
        for _, lane, _task in held:
            lane.end()
        tasks = [task for _, _, task in held]
        await asyncio.wait(tasks, timeout=self._settings.revoke_timeout)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        settled = {
            tp: lane.work.watermark for tp, lane, _ in held if lane.work.watermark is not None
        }
        await self._committing.commit_last(settled, _COMMIT_TIMEOUT)
        for _, lane, _task in held:
            lane.work.let_go()
        self._committing.forget()
        self._told()

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        for tp in partitions:
            self._open(tp)
        _log.info("partitions assigned", partitions=sorted(tp.partition for tp in partitions))
        self._told()

    def _open(self, tp: TopicPartition) -> None:
        assert self._lane_parts is not None
        remembered = Remembered(self._settings.lookup_cache_users)
        work = PartitionWork(tp.partition, self._cache, self._room, remembered)
        reader = self._parts.reader
        lane = Lane(self._lane_parts, work, remembered, on_room=lambda: reader.resume([tp]))
        task = asyncio.create_task(lane.run(), name=f"route {tp.topic}[{tp.partition}]")
        task.add_done_callback(self._lane_ended)
        self._lanes[tp] = lane, task

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)

    async def _read(self) -> None:
        backoff = Backoff()
        while True:
            try:
                fetched = await self._parts.reader.fetch(
                    max_records=self._settings.batch_records, max_wait=_FETCH_WAIT
                )
            except KafkaError as error:
                self._instruments.failed(Failure.KAFKA)
                _log.warning("reading failed", reason=str(error))
                await backoff.pause()
            else:
                backoff.reset()
                self._take(fetched)  # at once: no partition can have moved in between

    def _take(self, fetched: GroupFetched) -> None:
        for missed in fetched.missed:
            self._instruments.missed.inc(missed.size)
            _log.error(
                "records were gone before they were read: route faster, or keep them longer",
                partition=missed.partition,
                first=missed.first,
                end=missed.end,
            )
        broken: dict[TopicPartition, list[RecordPosition]] = {}
        for position in fetched.undecodable:
            broken.setdefault(TopicPartition(position.topic, position.partition), []).append(
                position
            )
        for tp, next_offset in fetched.next_offsets.items():
            if tp not in self._lanes:
                continue
            lane, _ = self._lanes[tp]
            lane.offer(Chunk(fetched.records.get(tp, ()), next_offset, broken.get(tp, ())))
            if lane.is_full:
                self._parts.reader.pause([tp])

    async def _watch(self) -> None:
        """Measure how far behind the group is, and see that the topic is what it was."""
        while True:
            await asyncio.sleep(self._settings.watch_interval)
            try:
                self._instruments.lag.set(sum((await self._parts.reader.lags()).values()))
                await self._topic.check(self._facts)
            except KafkaError as error:
                self._instruments.failed(Failure.KAFKA)
                _log.warning("the topic cannot be looked at", reason=str(error))

    def _watermarks(self) -> dict[TopicPartition, int]:
        return {
            tp: watermark
            for tp, (lane, _) in self._lanes.items()
            if (watermark := lane.work.watermark) is not None
        }

    def _settled(self) -> None:
        self._instruments.waiting.set(len(self._room))
        self._committing.settled()

    def _told(self) -> None:
        self._instruments.partitions.set(len(self._lanes))
        self._instruments.waiting.set(len(self._room))

    def _wake_lanes(self) -> None:
        for lane, _ in self._lanes.values():
            lane.wake()

    async def _persist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is answered at last, by brokers and stores that may not be there yet."""
        backoff = Backoff()
        while True:
            try:
                return await ask()
            except (KafkaError, StoreUnavailableError) as error:
                is_store = isinstance(error, StoreUnavailableError)
                self._instruments.failed(Failure.STORE if is_store else Failure.KAFKA)
                _log.warning("not started yet", reason=str(error))
                await backoff.pause()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end before `stop`."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            return task.done() and not self._stopping.is_set()
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)


async def _closed(name: str, close: Coroutine[Any, Any, None]) -> None:
    """Close a part, or give up on it: a client whose broker is away waits again after it was cancelled."""
    closing = asyncio.create_task(close, name=f"close {name}")
    for patience in _CLOSE_TIMEOUTS:
        await asyncio.wait({closing}, timeout=patience)
        if closing.done():
            break
        closing.cancel()
    if not closing.done() or closing.cancelled():
        _log.warning("closed in haste", part=name, reason="out of time")
    elif isinstance(error := closing.exception(), TidewireError):
        _log.warning("closed in haste", part=name, reason=str(error))
    elif error is not None:
        raise error
