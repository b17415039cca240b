"""Records and their coordinates, as plain frozen data that no client library leaks into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "Bounds",
    "Fetched",
    "Header",
    "NewRecord",
    "Record",
    "RecordPosition",
    "TopicPartition",
    "TopicSpec",
    "TopicState",
]

Header = tuple[str, bytes]


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Record(NamedTuple):
    """One record as read from a partition. ``timestamp_ms`` is the broker's record timestamp (Unix)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class NewRecord(NamedTuple):
    """One record to write; the caller chooses the partition (`partitioning`).

    ``value`` None deletes the key on a compacted topic. ``timestamp_ms`` None: the time of writing.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()
    timestamp_ms: int | None = None


class RecordPosition(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Bounds(NamedTuple):
    """A partition's readable range: ``start`` ≤ offset < ``end`` (last stable offset)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """One hand-over of a reader.

    ``records`` are in order within a partition. ``next_offsets`` holds, for every partition that moved
    (also by control records or compaction holes that yield no record), the next offset to read.
    ``undecodable`` names what was passed over because nobody can decode it: each such record, or the
    first offset read of a batch that is broken as a whole. ``next_offsets`` lies beyond all of it.
    """

    records: Sequence[Record]
    next_offsets: Mapping[TopicPartition, int]
    undecodable: Sequence[RecordPosition] = ()


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic should look like. ``config`` holds Kafka's topic settings by name."""

    name: str
    partitions: int
    config: Mapping[str, str]
    replication: int = 1


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker describes it.

    ``topic_id`` is None where the broker has none (the embedded one answers zeros), ``replication``, that of the partition
    with fewest replicas, where it names none.
    """

    name: str
    topic_id: str | None
    partitions: int
    config: Mapping[str, str]
    replication: int | None = None
