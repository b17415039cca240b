"""How much of the past a node holds: age and size of logs, and how long removals are remembered."""

from .events import Event
from .partition_log import PartitionLog

__all__ = ["History"]


class History:
    """Bounds every partition's log by age and all of them together by size.

    ``log_window`` and ``tombstone_ttl`` are seconds; ``max_bytes`` is for the whole node. At the size's
    bound the partition that grows gives up its own oldest events.
    """

    def __init__(self, *, log_window: float, tombstone_ttl: float, max_bytes: int) -> None:
        self.log_window_ms = round(log_window * 1000)
        self._tombstone_ttl_ms = round(tombstone_ttl * 1000)
        self._max_bytes = max_bytes
        self._bytes_held = 0

    @property
    def bytes_held(self) -> int:
        return self._bytes_held

    def append(self, log: PartitionLog, event: Event) -> None:
        """Append the next event of a partition and keep within the bounds."""
        self._bytes_held += log.append(event)
        while self._bytes_held > self._max_bytes and log.log:
            self._bytes_held -= log.evict_oldest()

    def load(self, log: PartitionLog, event: Event, now_ms: int) -> None:
        """Append the next event of a partition that has not caught up yet.

        What lies before the window is not kept in the log; where removals are older than they are
        remembered, further ones may be gone from the topic.
        """
        self.append(log, event)
        if log.is_table and event.ts_ms < now_ms - self._tombstone_ttl_ms:
            log.raise_floor(event)
        if event.ts_ms < now_ms - self.log_window_ms:
            while log.log:
                self._bytes_held -= log.evict_oldest()

    def tend(self, log: PartitionLog, now_ms: int) -> None:
        """Forget what has grown too old."""
        before = log.bytes_held
        log.evict_before(now_ms - self.log_window_ms)
        log.expire_tombstones(now_ms - self._tombstone_ttl_ms)
        self._bytes_held += log.bytes_held - before

    def forget(self, log: PartitionLog) -> None:
        """The partition is no longer read."""
        self._bytes_held -= log.bytes_held
