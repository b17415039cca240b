"""Snapshots: every entity's newest event at one position, encoded part by part, once for all who get it."""

from collections.abc import Sequence

from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_snapshot

from .events import Event
from .outbox import end_of_part, room_for_events

__all__ = ["Snapshot"]


class Snapshot:
    """A channel as it stood at ``position``.

    A part is encoded when it is first asked for, and kept for the others who are handed this snapshot.
    Parts are asked for in order. ``max_bytes`` bounds a part; ``made_at`` is monotonic.
    """

    __slots__ = (
        "__weakref__",
        "_ends",
        "_events",
        "_frames",
        "_is_partial",
        "_room",
        "_sub",
        "made_at",
        "position",
    )

    def __init__(
        self,
        sub: int,
        position: Position,
        events: Sequence[Event],
        *,
        is_partial: bool,
        max_bytes: int,
        made_at: float,
    ) -> None:
        self._sub = sub
        self.position = position
        self.made_at = made_at
        self._events = events
        self._is_partial = is_partial
        self._room = room_for_events(position, max_bytes)
        self._ends = [end_of_part(events, 0, self._room)]
        self._frames: list[bytes] = []

    @property
    def is_short(self) -> bool:
        """Whether it fits into one part."""
        return self._ends[0] == len(self._events)

    def is_last(self, part: int) -> bool:
        return self._ends[part] == len(self._events)

    def events_in(self, part: int) -> int:
        return self._ends[part] - (self._ends[part - 1] if part else 0)

    def frame(self, part: int) -> bytes:
        """The part's frame, ready for the socket; the last one carries the position."""
        if part == len(self._frames):
            self._frames.append(self._encode(part))
        return self._frames[part]

    def _encode(self, part: int) -> bytes:
        start, end = self._ends[part - 1] if part else 0, self._ends[part]
        more = end < len(self._events)
        if more:
            self._ends.append(end_of_part(self._events, end, self._room))
        position = Position(self.position.epoch, {}) if more else self.position
        encoded = [event.encoded for event in self._events[start:end]]
        return text_frame(
            encode_snapshot(self._sub, position, encoded, partial=self._is_partial, more=more)
        )
