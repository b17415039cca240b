"""What subscriptions of one feed lack: events between two positions, cut into pieces."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .events import Event

__all__ = ["Backlog", "Piece"]

_MEMO = 8
"""Pieces kept for those who stand at the same place."""


class Piece(NamedTuple):
    """The next events for one who stands somewhere, and per partition that moves where it stands then."""

    events: Sequence[Event]
    moved: Mapping[int, int]


class Backlog:
    """Events per partition, in order, that bring ``begin`` to ``end`` (offsets per partition).

    Whoever stands between the two is handed pieces of it, so that it is gathered once for all of them.
    ``is_current`` tells whether an event is still worth handing over: one that was superseded since it was
    gathered is not, for what took its place lies beyond ``end``.
    """

    def __init__(
        self,
        begin: Mapping[int, int],
        end: Mapping[int, int],
        events: Mapping[int, Sequence[Event]],
        is_current: Callable[[Event], bool],
    ) -> None:
        self.begin = begin
        self.end = end
        self._events = events
        self._is_current = is_current
        self._pieces: dict[tuple[int, ...], tuple[Piece, bytes]] = {}

    def covers(self, offsets: Mapping[int, int]) -> bool:
        """Whether one who stands at ``offsets`` lacks something of this, and nothing before it."""
        is_level = True
        for partition, begin in self.begin.items():
            offset = offsets.get(partition, 0)
            if not begin <= offset <= self.end[partition]:
                return False
            is_level = is_level and offset == self.end[partition]
        return not is_level

    def piece(self, offsets: Mapping[int, int], max_bytes: int) -> Piece:
        """As many of the next events as fit into ``max_bytes``, one at least.

        Partition after partition: within each one a piece ends before the first event it leaves out, so every
        place it moves to is safe to resume from (docs/protocol.md, "Position").
        """
        picked: list[Event] = []
        moved: dict[int, int] = {}
        room = max_bytes
        for partition, end in self.end.items():
            at = offsets.get(partition, 0)
            if at >= end:
                continue
            events = self._events[partition]
            for index in range(bisect_left(events, at, key=_offset), len(events)):
                event = events[index]
                if not self._is_current(event):
                    continue
                room -= len(event.encoded) + 1
                if room < 0 and picked:
                    moved[partition] = event.offset
                    return Piece(picked, moved)
                picked.append(event)
            moved[partition] = end
        return Piece(picked, moved)

    def encoded(
        self, offsets: Mapping[int, int], max_bytes: int, encode: Callable[[Piece], bytes]
    ) -> tuple[Piece, bytes]:
        """A `piece` and what ``encode`` makes of it; who stands at the same place shares both."""
        place = (max_bytes, *(offsets.get(partition, 0) for partition in self.begin))
        found = self._pieces.get(place)
        if found is None:
            piece = self.piece(offsets, max_bytes)
            found = piece, encode(piece)
            while len(self._pieces) >= _MEMO:
                del self._pieces[next(iter(self._pieces))]
            self._pieces[place] = found
        return found


def _offset(event: Event) -> int:
    return event.offset
