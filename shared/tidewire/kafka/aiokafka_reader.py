"""The reader on aiokafka: assigned partitions, own offsets, in the event loop."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka import errors as kafka

from .aiokafka_errors import translated
from .aiokafka_metadata import partition_counts
from .aiokafka_tolerance import pass_over_undecodable
from .errors import (
    BrokerUnavailableError,
    KafkaError,
    OffsetOutOfRangeError,
    UnknownTopicError,
)
from .log_noise import calm_client_logs
from .records import Bounds, Fetched, Record, RecordPosition, TopicPartition
from .settings import KafkaSettings

__all__ = ["AiokafkaReader"]

_SLICE = 0.1
_SCAN_INTERVAL = 0.05


class AiokafkaReader:
    """`RecordReader` on aiokafka.

    aiokafka's `assign` replaces the set, drops what was prefetched and forgets where it stood; so each
    kept partition is sought back, within the same loop turn, to the offset after its last handed-over
    record. aiokafka also retries in silence for ever while no broker answers, and its metadata requests
    would create missing topics: both are looked at here before they do harm.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaConsumer | None = None
        # Brokers answer one request of a connection after another: questions asked on the reading one
        # would wait for its long poll.
        self._asker: AIOKafkaConsumer | None = None
        self._told: dict[TopicPartition, int] = {}
        self._parked: set[TopicPartition] = set()
        self._known: set[TopicPartition] = set()
        self._assigning = asyncio.Lock()
        self._skipped: list[RecordPosition] = []
        self._scanned_at = 0.0
        self._sought_missing_at = 0.0
        self._assigned_ms = 0
        self._heard_ms = 0
        self._silence = 0.0

    async def start(self) -> None:
        calm_client_logs()
        self._client = await self._connected()
        pass_over_undecodable(self._client, self._skipped.append)
        self._client.assign([])
        try:
            self._asker = await self._connected()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        clients = [client for client in (self._client, self._asker) if client is not None]
        self._client = self._asker = None
        for client in clients:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.request_timeout):
                    await client.stop()

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        async with self._assigning:
            await self._check_exist(starts.keys() - self._known)
            if starts.keys() == self._told.keys() and not self._parked:
                return
            self._replace(starts)

    async def fetch(self, *, max_records: int, max_wait: float) -> Fetched:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max_wait
        await asyncio.sleep(0)
        await self._look_for_missing(loop.time())
        while True:
            began = loop.time()
            batches = await self._poll(max_records, min(_SLICE, max(0.0, deadline - began)))
            moved = self._moved(batches, loop.time())
            if moved:
                self._silence = 0.0
                return Fetched(_records(batches), moved, self._take_skipped())
            await self._listen(loop.time() - began)
            if loop.time() >= deadline:
                return Fetched((), {})

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        await self._check_exist(partitions)
        client = self._asking()
        asked = [ClientPartition(*tp) for tp in partitions]
        with translated(f"asking Kafka for the bounds of {_names(partitions)}"):
            async with asyncio.timeout(self._settings.request_timeout):
                starts = await client.beginning_offsets(asked)
                ends = await client.end_offsets(asked)
        return {
            TopicPartition(*tp): Bounds(start, max(start, ends[tp])) for tp, start in starts.items()
        }

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        await self._check_exist(times)
        client = self._asking()
        with translated(f"asking Kafka for offsets by time of {_names(times)}"):
            async with asyncio.timeout(self._settings.request_timeout):
                ends = await client.end_offsets([ClientPartition(*tp) for tp in times])
                found = await client.offsets_for_times(
                    {ClientPartition(*tp): at for tp, at in times.items()}
                )
        return {
            TopicPartition(*tp): end if (first := found[tp]) is None else min(first.offset, end)
            for tp, end in ends.items()
        }

    async def _connected(self) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(**self._settings.aiokafka_consumer())
        try:
            with translated(f"connecting to Kafka at {self._settings.bootstrap}"):
                async with asyncio.timeout(self._settings.connect_timeout):
                    await client.start()
        except BaseException:
            await client.stop()
            raise
        return client

    def _asking(self) -> AIOKafkaConsumer:
        assert self._asker is not None, "start() comes first"
        return self._asker

    def _started(self) -> AIOKafkaConsumer:
        assert self._client is not None, "start() comes first"
        return self._client

    def _replace(self, starts: Mapping[TopicPartition, int]) -> None:
        """Assign anew and seek, with no await between, so that nothing is fetched from a wrong place."""
        client = self._started()
        kept = self._told.keys() & starts.keys() - self._parked
        seek = {tp: self._position(tp) if tp in kept else at for tp, at in starts.items()}
        self._told = {tp: self._told[tp] if tp in kept else at for tp, at in starts.items()}
        self._parked.clear()
        self._keep_skipped(kept)
        self._assigned_ms = int(time.time() * 1000)
        client.assign([ClientPartition(*tp) for tp in starts])
        for tp, offset in seek.items():
            client.seek(ClientPartition(*tp), offset)

    async def _poll(self, max_records: int, wait: float) -> Mapping[Any, Sequence[Any]]:
        client = self._started()
        try:
            with translated(f"reading {_names(self._told)}"):
                batches: Mapping[Any, Sequence[Any]] = await client.getmany(
                    timeout_ms=int(wait * 1000), max_records=max_records
                )
                return batches
        except KafkaError as error:
            if isinstance(error.__cause__, kafka.OffsetOutOfRangeError):
                await self._park(error.__cause__)
                return {}
            self._rewind()
            raise
        except Exception as error:
            self._rewind()
            raise KafkaError(
                f"reading {_names(self._told)}: the client failed at {type(error).__name__}: {error}"
            ) from error

    async def _park(self, error: kafka.OffsetOutOfRangeError) -> None:
        """Stop reading where the offset is out of range; an answer to an older assignment is ignored."""
        ((where, offset),) = error.args[0].items()
        tp = TopicPartition(*where)
        if tp not in self._told or tp in self._parked or self._position(tp) != offset:
            return
        self._parked.add(tp)
        self._started().pause(where)
        raise OffsetOutOfRangeError(
            f"offset {offset} of {tp.topic}[{tp.partition}] is not in its log: assign the partition anew",
            topic=tp.topic,
            partition=tp.partition,
            offset=offset,
        ) from error

    def _rewind(self) -> None:
        """Take back what aiokafka counts as consumed but never handed over because of an error."""
        client = self._started()
        self._skipped.clear()
        for tp, offset in self._told.items():
            if tp not in self._parked:
                client.seek(ClientPartition(*tp), offset)

    def _take_skipped(self) -> list[RecordPosition]:
        taken = self._skipped.copy()
        self._skipped.clear()
        return taken

    def _keep_skipped(self, kept: Iterable[TopicPartition]) -> None:
        """Forget what was passed over in partitions that begin anew, or are gone."""
        kept = set(kept)
        self._skipped[:] = [
            at for at in self._skipped if TopicPartition(at.topic, at.partition) in kept
        ]

    def _position(self, tp: TopicPartition) -> int:
        """Where aiokafka stands: beyond control records, aborted transactions and compacted holes too.

        Its public `position` is a coroutine although nothing is waited for once a position is known.
        """
        assignment = self._started()._subscription.subscription.assignment
        position: int = assignment.state_value(ClientPartition(*tp)).position
        return position

    def _moved(self, batches: Iterable[Any], now: float) -> dict[TopicPartition, int]:
        """Where partitions stand that moved since it was last told.

        All of them are looked at when nothing came, otherwise only now and then: there may be thousands.
        """
        looked_at: Iterable[TopicPartition] = {
            TopicPartition(tp.topic, tp.partition) for tp in (*batches, *self._skipped)
        }
        if not looked_at or now - self._scanned_at >= _SCAN_INTERVAL:
            self._scanned_at = now
            looked_at = self._told
        moved = {tp: at for tp in looked_at if (at := self._position(tp)) != self._told[tp]}
        self._told |= moved
        return moved

    async def _listen(self, waited: float) -> None:
        """Count the time in which no broker answered any fetch; after too much of it, ask."""
        flowing = [tp for tp in self._told if tp not in self._parked]
        client = self._started()
        heard = max(
            (client.last_poll_timestamp(ClientPartition(*tp)) or 0 for tp in flowing), default=0
        )
        if not flowing or heard != self._heard_ms:
            self._heard_ms = heard
            self._silence = 0.0
            return
        self._silence += waited
        if self._silence >= self._settings.silence_timeout:
            await self._check_exist(flowing, within=self._settings.silence_timeout)
            self._silence = 0.0

    async def _look_for_missing(self, now: float) -> None:
        """Ask now and then whether those still exist that are not answered while others may be."""
        longest = self._settings.silence_timeout
        if now - self._sought_missing_at < longest / 2:
            return
        self._sought_missing_at = now
        client = self._started()
        since_ms = int((time.time() - longest) * 1000)
        silent = [
            tp
            for tp in self._told
            if tp not in self._parked
            and (client.last_poll_timestamp(ClientPartition(*tp)) or self._assigned_ms) < since_ms
        ]
        with contextlib.suppress(BrokerUnavailableError):  # `_listen` judges of that
            await self._check_exist(silent, within=longest)

    async def _check_exist(
        self, partitions: Iterable[TopicPartition], *, within: float | None = None
    ) -> None:
        """Raises `UnknownTopicError`, `BrokerUnavailableError`."""
        asked = set(partitions)
        if not asked:
            return
        client = self._asking()._client
        within = within or self._settings.request_timeout
        counts = await partition_counts(client, {tp.topic for tp in asked}, within=within)
        for tp in sorted(asked):
            if tp.partition >= counts.get(tp.topic, 0):
                self._known -= {known for known in self._known if known.topic == tp.topic}
                raise UnknownTopicError(
                    f"topic {tp.topic!r} has no partition {tp.partition}: it has {counts[tp.topic]}"
                    if tp.topic in counts
                    else f"topic {tp.topic!r} does not exist: make it first",
                    topic=tp.topic,
                )
        self._known |= asked


def _records(batches: Mapping[Any, Sequence[Any]]) -> list[Record]:
    return [
        Record(
            raw.topic,
            raw.partition,
            raw.offset,
            raw.timestamp,
            raw.key,
            raw.value,
            tuple((name, content or b"") for name, content in raw.headers),
        )
        for batch in batches.values()
        for raw in batch
    ]


def _names(partitions: Iterable[TopicPartition]) -> str:
    names = sorted({tp.topic for tp in partitions})
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
