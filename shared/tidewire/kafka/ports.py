"""What the rest of Tidewire needs of Kafka, and nothing more.

Every port has an in-memory implementation (`memory`) and a real one (`aiokafka_clients`,
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
        a new one starts at ``starts``. No record of a kept partition is lost or handed over twice. A
        partition that was reported as out of range is not kept: it starts anew at ``starts``.
        Raises `UnknownTopicError`, which names the topic, and, for topics never seen before, `BrokerUnavailableError`; the set
        is then unchanged.
        """
        ...

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        """Wait at most ``max_wait`` seconds for records; an empty result is not an error.

        A caller in no hurry says so by ``gather``: a reader that has just handed over all there was may let
        others gather for so long, and hand them over together, which costs fewer wake-ups. After a rest the
        first record comes at once all the same, and nothing of a backlog waits.

        A record that cannot be decoded (a header name that is not UTF-8) is passed over and reported in
        `Fetched.undecodable`, once; so is, as one, a batch whose checksum or compression is broken. The
        records around it come in order, without loss or doubles, and it is not counted in ``max_records``.

        Raises `OffsetOutOfRangeError` once when a partition's position is not in its log (never jumps;
        that partition stands still until the next `assign`, the others flow on),
        `BrokerUnavailableError` when no broker answers, `UnknownTopicError` when an assigned topic or
        partition is not (any longer) there, also while others flow; it names the topic, and after an
        `assign` without that topic the others go on. All leave the reader usable. Cancelling loses no
        record.
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

        Raises `RecordTooLargeError`, `UnknownTopicError`, `BrokerUnavailableError`. After the last one
        the record may still be written: nobody knows until a broker answers.
        """
        ...

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; `UnknownTopicError` if it does not exist."""
        ...

    async def flush(self) -> None:
        """Wait until everything accepted is acknowledged; `BrokerUnavailableError` if that takes too long."""
        ...

    async def close(self) -> None:
        """Flush, then let go of the connection, which also happens when the flush raises."""
        ...


class SyncRecordWriter(Protocol):
    """Writes records from a thread; idempotent, acks=all, bounded buffer."""

    def offer(self, record: NewRecord) -> None:
        """Queue one record; raises `BufferFullError` at the buffer's bound.

        Only the first record of a topic may wait for a broker, asked by `partitions_of`; like it this
        raises `UnknownTopicError` and `BrokerUnavailableError`, and `RecordTooLargeError` where the
        limit is the writer's own.
        """
        ...

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has; `UnknownTopicError` if it does not exist."""
        ...

    def flush(self, timeout: float) -> int:
        """Wait until everything queued is acknowledged; returns how many are not after ``timeout`` s.

        Raises the first delivery failure since the last flush.
        """
        ...

    def close(self, timeout: float) -> None:
        """Flush, then let go of the connection.

        Raises the first delivery failure, `BrokerUnavailableError` when records are still
        unacknowledged after ``timeout`` seconds.
        """
        ...


class TopicAdmin(Protocol):
    """Topics: blocking calls, made at start-up or from a worker thread."""

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        """The topics that exist among ``names``."""
        ...

    def create(self, spec: TopicSpec) -> None:
        """Make a topic and return once it can be written; `TopicExistsError` when it is there."""
        ...

    def delete(self, name: str) -> None:
        """Delete a topic and return once it is gone; `UnknownTopicError` when it is not there."""
        ...

    def wait_until_ready(self, timeout: float) -> None:
        """Return once a broker answers; `BrokerUnavailableError` after ``timeout`` seconds."""
        ...

    def close(self) -> None: ...
