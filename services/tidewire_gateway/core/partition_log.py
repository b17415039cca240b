"""What a node holds of one partition: recent events in order, and the newest event of every entity."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from .events import Event

__all__ = ["PartitionLog", "Past"]

_OVERHEAD_BYTES = 200
"""Rough cost of an event beside its encoded bytes: tuple, strings, deque and dict entries."""


class Past(NamedTuple):
    """Events from before the log, read once more: all there are at ``start`` ≤ offset < ``end``."""

    start: int
    end: int
    events: Sequence[Event]

    def covers(self, offset: int) -> bool:
        return self.start <= offset < self.end


class PartitionLog:
    """Log and table of one partition.

    ``began_at`` is where reading began, ``next_offset`` the next offset to be read; the log is complete from ``complete_from`` on; `changes`
    is complete from ``floor`` on (below it tombstones may be gone); Kafka itself began at ``kept_from`` when
    it was last asked. ``newest`` keeps, per group, entity →
    event in the order of offsets: an update moves its entity to the end, so what changed since an offset
    is read off the end at the cost of what changed. ``past`` is what was last read again of what the log no
    longer holds.
    """

    __slots__ = (
        "_tombstones",
        "began_at",
        "bytes_held",
        "complete_from",
        "floor",
        "is_table",
        "kept_from",
        "log",
        "newest",
        "next_offset",
        "past",
    )

    def __init__(self, start: int, *, is_table: bool, kept_from: int = 0) -> None:
        self.is_table = is_table
        self.kept_from = kept_from
        self.began_at = start
        self.next_offset = start
        self.complete_from = start
        self.floor = start
        self.log: deque[Event] = deque()
        self.newest: dict[str, dict[str, Event]] = {}
        self.bytes_held = 0
        self.past: Past | None = None
        # Those of ``newest`` that are removals, oldest first.
        self._tombstones: dict[tuple[str, str], Event] = {}

    def append(self, event: Event) -> int:
        """Take the next event; offsets only grow. Returns by how many bytes the log has grown."""
        offset, entity = event.offset, event.entity
        assert offset >= self.next_offset, "a partition is read in order"
        self.next_offset = offset + 1
        entities = self.newest.get(event.group)
        if entities is None:
            entities = self.newest[event.group] = {}
        previous = entities.pop(entity, None)
        entities[entity] = event
        if previous is not None and previous.deleted:
            del self._tombstones[event.group, entity]
        if event.deleted:
            self._tombstones[event.group, entity] = event
        self.log.append(event)
        size = _size(event)
        self.bytes_held += size
        return size

    def raise_floor(self, event: Event) -> None:
        """Note, while history is loaded, that removals up to ``event`` may be gone from the topic."""
        self.floor = max(self.floor, event.offset + 1)

    def advance(self, next_offset: int) -> None:
        """Move over offsets that hold no event: control records, holes, rejected records."""
        self.next_offset = max(self.next_offset, next_offset)

    def evict_before(self, cutoff_ms: int) -> None:
        """Forget log events older than ``cutoff_ms`` (Unix)."""
        while self.log and self.log[0].ts_ms < cutoff_ms:
            self.evict_oldest()

    def evict_oldest(self) -> int:
        """Forget the oldest log event; without a table its entity goes with it. Returns its bytes."""
        event = self.log.popleft()
        size = _size(event)
        self.bytes_held -= size
        self.complete_from = event.offset + 1
        if not self.is_table:
            self._forget(event)
            self.floor = self.complete_from
        return size

    def expire_tombstones(self, cutoff_ms: int) -> None:
        """Forget removals older than ``cutoff_ms``; positions before them no longer get `changes`."""
        while self._tombstones:
            event = next(iter(self._tombstones.values()))
            if event.ts_ms >= cutoff_ms:
                return
            self._forget(event)
            self.floor = max(self.floor, event.offset + 1)

    def current(self, group: str | None) -> list[Event]:
        """The newest event of every entity of a group (None: of all), removed ones left out."""
        newest = chain.from_iterable(map(dict.values, self._groups(group)))
        return [event for event in newest if not event.deleted]

    def changed_since(self, offset: int, group: str | None) -> list[Event]:
        """The newest event of every entity that changed at or after ``offset``, in order, removals too."""
        found: list[Event] = []
        for entities in self._groups(group):
            for event in reversed(entities.values()):
                if event.offset < offset:
                    break
                found.append(event)
        found.sort(key=_by_offset)
        return found

    def events_since(self, offset: int, group: str | None) -> list[Event]:
        """Every event of the log at or after ``offset``, in order."""
        found: list[Event] = []
        for event in reversed(self.log):
            if event.offset < offset:
                break
            if group is None or event.group == group:
                found.append(event)
        found.reverse()
        return found

    def holds(self, offset: int) -> bool:
        """Whether the events from ``offset`` on can be given, some of them at least."""
        return offset >= self.complete_from or (self.past is not None and self.past.covers(offset))

    def events_from(self, offset: int, group: str | None) -> tuple[Sequence[Event], int]:
        """The events from ``offset`` on that can be given, and up to which offset they are all there are."""
        if offset >= self.complete_from:
            return self.events_since(offset, group), self.next_offset
        past = self.past
        assert past is not None, "ask `holds` first"
        older = past.events[bisect_left(past.events, offset, key=_by_offset) :]
        older = [event for event in older if group is None or event.group == group]
        if past.end < self.complete_from:
            return older, past.end
        return [*older, *self.events_since(past.end, group)], self.next_offset

    def newest_of(self, event: Event) -> Event | None:
        """The newest event of the same entity, which may be ``event`` itself."""
        return self.newest.get(event.group, {}).get(event.entity)

    def _groups(self, group: str | None) -> Iterable[dict[str, Event]]:
        if group is None:
            return self.newest.values()
        entities = self.newest.get(group)
        return () if entities is None else (entities,)

    def _forget(self, event: Event) -> None:
        """Drop an event's entity, unless a newer event has taken its place."""
        entities = self.newest.get(event.group)
        if entities is None or entities.get(event.entity) is not event:
            return
        del entities[event.entity]
        if event.deleted:
            del self._tombstones[event.group, event.entity]
        if not entities:
            del self.newest[event.group]


def _by_offset(event: Event) -> int:
    return event.offset


def _size(event: Event) -> int:
    return len(event.encoded) + _OVERHEAD_BYTES
