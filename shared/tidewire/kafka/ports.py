"""What the rest of Tidewire needs of Kafka, and nothing more.

Every port has an in-memory implementation (`memory`) and real ones (`aiokafka_clients`,
`confluent_clients`); one contract suite holds them to the same behaviour.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from .records import (
    Bounds,
    Fetched,
    NewRecord,
    RecordPosition,
    TopicPartition,
    TopicSpec,
    TopicState,
)

__all__ = ["RecordReader", "RecordWriter", "SyncRecordWriter", "TopicAdmin"]


class RecordReader(Protocol):
    """Reads assigned partitions, `read_committed`, without a consumer group."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Replace the assigned set.

        A partition that was assigned before keeps its own next offset, whatever ``starts`` says of it;
        a new one starts at ``starts``. No record of a kept partition is lost or handed over twice.
        """
        ...

    async def fetch(self, *, max_records: int, max_wait: float) -> Fetched:
        """Wait at most ``max_wait`` seconds for records; an empty result is not an error.

        Raises `OffsetOutOfRangeError` when a partition's position is not in its log (never jumps),
        `BrokerUnavailableError` when no broker answers; both leave the reader usable.
        """
        ...

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """First and end offset (last stable offset) of each partition; `UnknownTopicError` if missing."""
        ...

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Per partition the first offset whose timestamp is at or after the given Unix ms.

        Where no such record exists: the end offset.
        """
        ...


class RecordWriter(Protocol):
    """Writes records from an event loop; idempotent, acks=all."""

    async def start(self) -> None: ...

    async def write(self, record: NewRecord) -> RecordPosition:
        """Write one record and return where it stands once it is acknowledged.

        Raises `RecordTooLargeError`, `UnknownTopicError`, `BrokerUnavailableError`.
        """
        ...

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; `UnknownTopicError` if it does not exist."""
        ...

    async def flush(self) -> None: ...

    async def close(self) -> None:
        """Flush, then let go of the connection; nothing accepted is lost."""
        ...


class SyncRecordWriter(Protocol):
    """Writes records from a thread; idempotent, acks=all, bounded buffer."""

    def offer(self, record: NewRecord) -> None:
        """Queue one record; raises `BufferFullError` at the buffer's bound, never blocks."""
        ...

    def partitions_of(self, topic: str) -> int: ...

    def flush(self, timeout: float) -> int:
        """Wait until everything queued is acknowledged; returns how many are not after ``timeout`` s.

        Raises the first delivery failure since the last flush.
        """
        ...

    def close(self, timeout: float) -> None: ...


class TopicAdmin(Protocol):
    """Topics: blocking calls, made at start-up or from a worker thread."""

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        """The topics that exist among ``names``."""
        ...

    def create(self, spec: TopicSpec) -> None:
        """Make a topic; `TopicExistsError` when it is there."""
        ...

    def delete(self, name: str) -> None: ...

    def wait_until_ready(self, timeout: float) -> None:
        """Return once a broker answers; `BrokerUnavailableError` after ``timeout`` seconds."""
        ...

    def close(self) -> None: ...
