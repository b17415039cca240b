"""What the rest of Tidewire needs of Kafka, and nothing more.

Every port has an in-memory implementation (`memory`) and a real one (`aiokafka_clients`,
`confluent_clients`); one contract suite holds them to the same behaviour.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from .groups import GroupFetched
from .records import (
    Bounds,
    Fetched,
    NewRecord,
    RecordPosition,
    TopicPartition,
    TopicSpec,
    TopicState,
)

__all__ = [
    "GroupListener",
    "GroupReader",
    "RecordReader",
    "RecordWriter",
    "SyncRecordWriter",
    "TopicAdmin",
]


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


class GroupListener(Protocol):
    """Is told by a `GroupReader` which partitions are its own; may commit in both calls."""

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """These may be somebody else's as soon as this returns; nothing of them is handed over any more.

        It must return well within the group's rebalance timeout.
        """
        ...

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """These are this member's until they are revoked, each from its committed offset on."""
        ...


class GroupReader(Protocol):
    """Reads a topic as a member of a consumer group, `read_committed`; commits are made by hand.

    Where the group rebalances, all partitions of a member are revoked first, also those that it keeps.
    """

    async def start(self, listener: GroupListener) -> None:
        """Connect and begin to join. Raises `BrokerUnavailableError`, `UnknownTopicError`."""
        ...

    async def fetch(self, *, max_records: int, max_wait: float) -> GroupFetched:
        """Wait at most about ``max_wait`` seconds for records; an empty result is not an error.

        A partition that the group has committed nothing of begins at its first record; one whose position has left
        the log goes on at its beginning, and what was missed is told. What nobody can decode is passed over and told.
        Everything is of partitions that are assigned when this returns. Cancelling loses no record.

        Raises `KafkaError`, which leaves the reader usable: call again after a pause.
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Let the group go on at these offsets. Raises `PartitionsMovedError`, `BrokerUnavailableError`."""
        ...

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Hand over nothing more of these until `resume`, or until they are assigned anew."""
        ...

    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    async def lags(self) -> Mapping[TopicPartition, int]:
        """Per assigned partition the records between what is committed and the end. Raises `BrokerUnavailableError`."""
        ...

    async def close(self) -> None:
        """Leave the group, without `on_revoked`: whoever closes has finished, and committed, before."""
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

    async def abandon(self) -> None:
        """Let go of the connection at once, whatever the broker does; what is not acknowledged is given up."""
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

    def brokers(self) -> int:
        """How many brokers the cluster has now, which bounds a topic's replicas."""
        ...

    def delete(self, name: str) -> None:
        """Delete a topic and return once it is gone; `UnknownTopicError` when it is not there."""
        ...

    def wait_until_ready(self, timeout: float) -> None:
        """Return once a broker answers; `BrokerUnavailableError` after ``timeout`` seconds."""
        ...

    def close(self) -> None: ...
