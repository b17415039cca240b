"""The logs of the in-memory broker: offsets, retention, holes and timestamps, as Kafka keeps them."""

from collections.abc import Iterator

from .records import Bounds, NewRecord, Record, RecordPosition

__all__ = ["MemoryLog"]


class MemoryLog:
    """One partition. An entry is a record, or None where a reader sees nothing.

    Nothing is seen of control records, of aborted transactions and of what compaction removed; their
    offsets count all the same.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._start = 0
        self._entries: list[Record | None] = []
        self._undecodable: list[int] = []

    @property
    def bounds(self) -> Bounds:
        return Bounds(self._start, self._start + len(self._entries))

    def append(self, record: NewRecord, *, timestamp_ms: int) -> int:
        offset = self.bounds.end
        self._entries.append(
            Record(
                self._topic,
                self._partition,
                offset,
                timestamp_ms,
                record.key,
                record.value,
                tuple(record.headers),
            )
        )
        return offset

    def append_hole(self) -> int:
        self._entries.append(None)
        return self.bounds.end - 1

    def append_undecodable(self) -> int:
        self._undecodable.append(self.append_hole())
        return self._undecodable[-1]

    def undecodable(self, first: int, end: int) -> list[RecordPosition]:
        """What cannot be decoded at ``first`` ≤ offset < ``end``."""
        return [
            RecordPosition(self._topic, self._partition, offset)
            for offset in self._undecodable
            if first <= offset < end
        ]

    def has(self, offset: int) -> bool:
        """Whether a reader may stand at an offset: in the log, or at its end."""
        return self._start <= offset <= self.bounds.end

    def read(self, offset: int, limit: int) -> tuple[list[Record], int]:
        """Up to ``limit`` records from an offset on, and the next offset to read."""
        records: list[Record] = []
        for position, entry in self._from(offset):
            if entry is None:
                continue
            if len(records) == limit:
                return records, position
            records.append(entry)
        return records, self.bounds.end

    def offset_at(self, timestamp_ms: int) -> int:
        """The first offset at or after a time; the end where there is none."""
        for position, entry in self._from(self._start):
            if entry is not None and entry.timestamp_ms >= timestamp_ms:
                return position
        return self.bounds.end

    def truncate_before(self, offset: int) -> None:
        """Forget what is below an offset, as retention does."""
        cut = min(max(offset, self._start), self.bounds.end)
        del self._entries[: cut - self._start]
        self._start = cut
        self._undecodable = [offset for offset in self._undecodable if offset >= cut]

    def compact(self) -> None:
        """Keep the newest record of each key."""
        newest = {entry.key: position for position, entry in self._from(self._start) if entry}
        for index, entry in enumerate(self._entries):
            if entry is not None and newest[entry.key] != self._start + index:
                self._entries[index] = None

    def _from(self, offset: int) -> Iterator[tuple[int, Record | None]]:
        for index in range(offset - self._start, len(self._entries)):
            yield self._start + index, self._entries[index]
