"""How far reading lags behind Kafka: what is known of each partition each time that its end is asked for."""

from collections.abc import Mapping
from typing import NamedTuple

from tidewire.kafka.records import TopicPartition

__all__ = ["ConsumerLag", "Reach"]


class Reach(NamedTuple):
    """A partition's ``end`` and the next offset to be read.

    ``last_ms`` is the timestamp (Unix ms) of the last record read, None where the node does not hold it any more.
    """

    next_offset: int
    end: int
    last_ms: int | None


class _Seen:
    """``level_at``: all that was there then has been read; ``end`` is what is still to be reached, seen at ``end_at``."""

    __slots__ = ("end", "end_at", "level_at")

    def __init__(self, level_at: float) -> None:
        self.level_at = level_at
        self.end = 0
        self.end_at = level_at


class ConsumerLag:
    """For how long at most a record has been there unread, while the node reads its partition.

    What is older than the assignment does not count: a table's first records may be years old. The times between two
    measurements are not known, so the answer is too high by one of them at most where records of a partition are rare.
    """

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, _Seen] = {}

    def begin(self, partition: TopicPartition, now: float) -> None:
        """The partition is read from ``now`` on (monotonic seconds)."""
        self._seen[partition] = _Seen(now)

    def measure(self, reaches: Mapping[TopicPartition, Reach], now: float, now_ms: float) -> float:
        """Seconds, of the partition where they are most; 0 where nothing is unread. Forgets all other partitions."""
        for gone in self._seen.keys() - reaches.keys():
            del self._seen[gone]
        return max((self._lag(p, reach, now, now_ms) for p, reach in reaches.items()), default=0.0)

    def _lag(self, partition: TopicPartition, reach: Reach, now: float, now_ms: float) -> float:
        seen = self._seen.setdefault(partition, _Seen(now))
        if reach.next_offset >= reach.end:
            seen.level_at = seen.end_at = now
            seen.end = reach.end
            return 0.0
        if reach.next_offset >= seen.end:
            seen.level_at, seen.end, seen.end_at = seen.end_at, reach.end, now
        unread = now - seen.level_at
        if reach.last_ms is None:
            return unread
        return max(0.0, min(unread, (now_ms - reach.last_ms) / 1000))
