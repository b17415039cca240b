"""Reader, writers and admin of the in-memory broker."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .errors import (
    BrokerUnavailableError,
    BufferFullError,
    KafkaError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    UnknownTopicError,
)
from .records import (
    Bounds,
    Fetched,
    NewRecord,
    Record,
    RecordPosition,
    TopicPartition,
    TopicSpec,
    TopicState,
)

if TYPE_CHECKING:
    from .memory import MemoryBroker

__all__ = ["MemoryAdmin", "MemoryReader", "MemorySyncWriter", "MemoryWriter", "size_of"]

_HOLD_TIMEOUT = 10.0
_OVERHEAD_BYTES = 64


class MemoryReader:
    """`RecordReader` of a `MemoryBroker`."""

    def __init__(self, broker: "MemoryBroker") -> None:
        self._broker = broker
        self._next: dict[TopicPartition, int] = {}
        self._parked: set[TopicPartition] = set()

    async def start(self) -> None:
        self._broker.check_available()

    async def close(self) -> None:
        self._next.clear()

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        for tp in starts.keys() - self._next.keys():
            self._broker.log(tp)
        kept = self._next.keys() - self._parked
        self._next = {tp: self._next[tp] if tp in kept else at for tp, at in starts.items()}
        self._parked.clear()

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        await asyncio.sleep(0)
        if not self._is_due():
            await self._broker.wait_for_change(self._is_due, max_wait)
        return self._take(max_records)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        return {tp: self._broker.bounds(tp) for tp in partitions}

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return {tp: self._broker.log(tp).offset_at(at) for tp, at in times.items()}

    def _flowing(self) -> list[TopicPartition]:
        return [tp for tp in self._next if tp not in self._parked]

    def _is_due(self) -> bool:
        try:
            return any(self._broker.bounds(tp).end != self._next[tp] for tp in self._flowing())
        except KafkaError:
            return True

    def _take(self, max_records: int) -> Fetched:
        self._broker.check_available()
        records: list[Record] = []
        moved: dict[TopicPartition, int] = {}
        undecodable: list[RecordPosition] = []
        for tp in self._flowing():
            log = self._broker.log(tp)
            if not log.has(self._next[tp]):
                self._park(tp, moved)
                continue
            found, after = log.read(self._next[tp], max_records - len(records))
            records += found
            undecodable += log.undecodable(self._next[tp], after)
            if after != self._next[tp]:
                moved[tp] = after
        self._next |= moved
        return Fetched(records, moved, undecodable)

    def _park(self, tp: TopicPartition, moved: Mapping[TopicPartition, int]) -> None:
        if moved:
            return  # hand these over first; the next fetch reports it
        self._parked.add(tp)
        bounds = self._broker.bounds(tp)
        raise OffsetOutOfRangeError(
            f"offset {self._next[tp]} of {tp.topic}[{tp.partition}] is not in its log, which holds "
            f"{bounds.start} to {bounds.end}: assign the partition anew",
            topic=tp.topic,
            partition=tp.partition,
            offset=self._next[tp],
        )


class MemoryWriter:
    """`RecordWriter` of a `MemoryBroker`."""

    def __init__(self, broker: "MemoryBroker", *, max_record_bytes: int) -> None:
        self._broker = broker
        self._max_record_bytes = max_record_bytes
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        self._broker.check_available()

    async def write(self, record: NewRecord) -> RecordPosition:
        _check_size(record, self._max_record_bytes)
        self._in_flight += 1
        self._idle.clear()
        try:
            await asyncio.sleep(0)
            self._broker.check_available()
            await self._until_released()
            return self._broker.append(record)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def partitions_of(self, topic: str) -> int:
        return self._broker.partitions_of(topic)

    async def flush(self) -> None:
        try:
            async with asyncio.timeout(_HOLD_TIMEOUT):
                await self._idle.wait()
        except TimeoutError:
            raise _held() from None

    async def close(self) -> None:
        await self.flush()

    async def abandon(self) -> None:
        return

    async def _until_released(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _HOLD_TIMEOUT
        while self._broker.is_holding:
            remaining = deadline - loop.time()
            if remaining <= 0:
                raise _held()
            await self._broker.wait_for_change(lambda: not self._broker.is_holding, remaining)


class MemorySyncWriter:
    """`SyncRecordWriter` of a `MemoryBroker`: records leave the buffer unless the broker holds them."""

    def __init__(
        self, broker: "MemoryBroker", *, buffer_records: int, max_record_bytes: int
    ) -> None:
        self._broker = broker
        self._max_record_bytes = max_record_bytes
        self._buffer_records = buffer_records
        self._buffer: deque[NewRecord] = deque()
        self._partitions_by_topic: dict[str, int] = {}
        self._failure: KafkaError | None = None

    def offer(self, record: NewRecord) -> None:
        count = self._partitions_by_topic.get(record.topic) or self.partitions_of(record.topic)
        if not 0 <= record.partition < count:
            raise UnknownTopicError(
                f"topic {record.topic!r} has no partition {record.partition}: it has {count}",
                topic=record.topic,
            )
        _check_size(record, self._max_record_bytes)
        if len(self._buffer) >= self._buffer_records:
            self._deliver()
        if len(self._buffer) >= self._buffer_records:
            raise BufferFullError(
                f"{self._buffer_records} records wait for the broker: flush, or publish more slowly"
            )
        self._buffer.append(record)
        self._deliver()

    def partitions_of(self, topic: str) -> int:
        partitions = self._broker.partitions_of(topic)
        self._partitions_by_topic[topic] = partitions
        return partitions

    def flush(self, timeout: float) -> int:
        self._deliver()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return len(self._buffer)

    def close(self, timeout: float) -> None:
        if left := self.flush(timeout):
            raise BrokerUnavailableError(f"{left} records were not acknowledged")

    def _deliver(self) -> None:
        while self._buffer and not self._broker.is_holding:
            record = self._buffer.popleft()
            try:
                self._broker.append(record)
            except KafkaError as error:
                self._failure = self._failure or error


class MemoryAdmin:
    """`TopicAdmin` of a `MemoryBroker`."""

    def __init__(self, broker: "MemoryBroker") -> None:
        self._broker = broker

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        return self._broker.describe(names)

    def create(self, spec: TopicSpec) -> None:
        self._broker.create(spec)

    def brokers(self) -> int:
        return self._broker.brokers()

    def delete(self, name: str) -> None:
        self._broker.delete(name)

    def wait_until_ready(self, timeout: float) -> None:
        self._broker.check_available()

    def close(self) -> None:
        """Nothing to let go of."""


def size_of(record: NewRecord) -> int:
    """About what a record takes in a batch."""
    headers = sum(len(name) + len(content) for name, content in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + _OVERHEAD_BYTES


def _check_size(record: NewRecord, limit: int) -> None:
    if (size := size_of(record)) > limit:
        raise RecordTooLargeError(
            f"a record of {size} bytes is more than the writer takes ({limit}): "
            "publish less or raise max_record_bytes"
        )


def _held() -> BrokerUnavailableError:
    return BrokerUnavailableError(
        "the in-memory broker holds its acknowledgements: hold_acknowledgements(False)"
    )
