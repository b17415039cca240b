"""A Kafka broker in memory, for tests and for trying things out without one."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import (
    BrokerUnavailableError,
    RecordTooLargeError,
    TopicExistsError,
    UnknownTopicError,
)
from .memory_clients import MemoryAdmin, MemoryReader, MemorySyncWriter, MemoryWriter, size_of
from .memory_log import MemoryLog
from .records import Bounds, NewRecord, RecordPosition, TopicPartition, TopicSpec, TopicState
from .settings import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MemoryBroker"]

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Topic:
    spec: TopicSpec
    topic_id: str
    logs: tuple[MemoryLog, ...]

    @property
    def max_message_bytes(self) -> int:
        return int(self.spec.config.get("max.message.bytes", _DEFAULT_MAX_MESSAGE_BYTES))


class MemoryBroker:
    """Topics and logs shared by the clients it makes; safe to use from several threads.

    What a broker does by itself a test does here by hand: `truncate_before`, `compact`, `append_hole`
    (a control record or an aborted transaction), `append_undecodable`, `set_available`, `hold_acknowledgements`.
    """

    def __init__(self, *, now_ms: Callable[[], int] = _unix_ms, brokers: int = 32) -> None:
        self._now_ms = now_ms
        self._brokers = brokers
        self._topics: dict[str, _Topic] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._available = True
        self._holding = False
        # In order, so that writes that were held are stored in the order of their calls.
        self._loops_by_waiter: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def reader(self) -> MemoryReader:
        return MemoryReader(self)

    def writer(self, *, max_record_bytes: int = MAX_RECORD_BYTES) -> MemoryWriter:
        return MemoryWriter(self, max_record_bytes=max_record_bytes)

    def sync_writer(
        self, *, buffer_records: int = 100_000, max_record_bytes: int = MAX_RECORD_BYTES
    ) -> MemorySyncWriter:
        return MemorySyncWriter(
            self, buffer_records=buffer_records, max_record_bytes=max_record_bytes
        )

    def admin(self) -> MemoryAdmin:
        return MemoryAdmin(self)

    # What a test does to the broker.

    def set_available(self, available: bool) -> None:
        """Switch every answer of this broker on or off."""
        self._available = available
        self._wake()

    def hold_acknowledgements(self, holding: bool) -> None:
        """While held, nothing that is written is stored or acknowledged."""
        self._holding = holding
        self._wake()

    def truncate_before(self, where: TopicPartition, offset: int) -> None:
        with self._changing():
            self._log(where).truncate_before(offset)

    def compact(self, topic: str) -> None:
        with self._changing():
            for log in self._topic(topic).logs:
                log.compact()

    def append_hole(self, where: TopicPartition) -> None:
        """Use up one offset without a record, as a control record does."""
        with self._changing():
            self._log(where).append_hole()

    def append_undecodable(self, where: TopicPartition) -> RecordPosition:
        """Store a record that no reader can decode, as one with a broken header name is."""
        with self._changing():
            return RecordPosition(*where, self._log(where).append_undecodable())

    # What its clients ask.

    @property
    def is_holding(self) -> bool:
        return self._holding or not self._available

    def check_available(self) -> None:
        if not self._available:
            raise BrokerUnavailableError(
                "the in-memory broker is switched off: set_available(True)"
            )

    def append(self, record: NewRecord) -> RecordPosition:
        self.check_available()
        size = size_of(record)
        with self._changing():
            limit = self._topic(record.topic).max_message_bytes
            if size > limit:
                raise RecordTooLargeError(
                    f"a record of {size} bytes is more than topic {record.topic!r} takes ({limit}): "
                    "publish less or raise its max.message.bytes"
                )
            log = self._log(TopicPartition(record.topic, record.partition))
            timestamp = self._now_ms() if record.timestamp_ms is None else record.timestamp_ms
            offset = log.append(record, timestamp_ms=timestamp)
        return RecordPosition(record.topic, record.partition, offset)

    def log(self, where: TopicPartition) -> MemoryLog:
        self.check_available()
        with self._lock:
            return self._log(where)

    def bounds(self, where: TopicPartition) -> Bounds:
        return self.log(where).bounds

    def partitions_of(self, topic: str) -> int:
        self.check_available()
        with self._lock:
            return len(self._topic(topic).logs)

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        self.check_available()
        with self._lock:
            return {
                name: TopicState(
                    name,
                    topic.topic_id,
                    len(topic.logs),
                    dict(topic.spec.config),
                    topic.spec.replication,
                )
                for name in names
                if (topic := self._topics.get(name))
            }

    def brokers(self) -> int:
        """As many as it is said to be: it keeps one replica, whatever a topic asks for."""
        self.check_available()
        return self._brokers

    def create(self, spec: TopicSpec) -> None:
        self.check_available()
        with self._changing():
            if spec.name in self._topics:
                raise TopicExistsError(f"topic {spec.name!r} exists already")
            logs = tuple(MemoryLog(spec.name, number) for number in range(spec.partitions))
            self._topics[spec.name] = _Topic(spec, f"memory-{next(self._ids)}", logs)

    def delete(self, name: str) -> None:
        self.check_available()
        with self._changing():
            self._topic(name)
            del self._topics[name]

    async def wait_for_change(self, is_due: Callable[[], bool], max_wait: float) -> None:
        """Wait until something was written, switched or deleted, unless ``is_due`` already."""
        event = asyncio.Event()
        with self._lock:
            self._loops_by_waiter[event] = asyncio.get_running_loop()
        try:
            if not is_due():
                async with asyncio.timeout(max_wait):
                    await event.wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                del self._loops_by_waiter[event]

    @contextmanager
    def _changing(self) -> "Iterator[None]":
        with self._lock:
            yield
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiters = tuple(self._loops_by_waiter.items())
        for event, loop in waiters:
            loop.call_soon_threadsafe(event.set)

    def _topic(self, name: str) -> _Topic:
        topic = self._topics.get(name)
        if topic is None:
            raise UnknownTopicError(f"topic {name!r} does not exist: make it first", topic=name)
        return topic

    def _log(self, where: TopicPartition) -> MemoryLog:
        logs = self._topic(where.topic).logs
        if not 0 <= where.partition < len(logs):
            raise UnknownTopicError(
                f"topic {where.topic!r} has no partition {where.partition}: it has {len(logs)}",
                topic=where.topic,
            )
        return logs[where.partition]
