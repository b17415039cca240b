"""Cut encoded events into frames of bounded size, the position only in the last."""

from collections.abc import Sequence

from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_updates

from .coalescing import Batch
from .events import Event

__all__ = ["end_of_part", "one_frame", "room_for_events", "updates_frames"]

_ENVELOPE_BYTES = 1024
"""Room for everything in a frame that is not an event, but for the position."""


def updates_frames(sub: int, position: Position, batch: Batch, max_bytes: int) -> list[bytes]:
    """The frames of one flush, ready for the socket.

    A flush that is split moves the position only in its last frame, which also counts what was
    coalesced (docs/protocol.md, "Position").
    """
    events, room = batch.events, room_for_events(position, max_bytes)
    stay = Position(position.epoch, {})
    frames: list[bytes] = []
    start, end = 0, end_of_part(events, 0, room)
    while end < len(events):
        part = [event.encoded for event in events[start:end]]
        frames.append(text_frame(encode_updates(sub, stay, part, coalesced=0)))
        start, end = end, end_of_part(events, end, room)
    tail = [event.encoded for event in events[start:]]
    frames.append(text_frame(encode_updates(sub, position, tail, coalesced=batch.coalesced)))
    return frames


def one_frame(
    sub: int, position: Position, batch: Batch, max_bytes: int, traceparent: str | None = None
) -> bytes | None:
    """The frame of a flush that needs no second one, ready for the socket; None for a larger flush.

    ``traceparent`` is that of the span that pushes it.
    """
    events = batch.events
    if end_of_part(events, 0, room_for_events(position, max_bytes)) < len(events):
        return None
    encoded = [event.encoded for event in events]
    coalesced = batch.coalesced
    return text_frame(
        encode_updates(sub, position, encoded, coalesced=coalesced, traceparent=traceparent)
    )


def room_for_events(position: Position, max_bytes: int) -> int:
    """Bytes that a frame with this position has for events."""
    return max(1, max_bytes - _ENVELOPE_BYTES - 32 * len(position.offsets))


def end_of_part(events: Sequence[Event], start: int, room: int) -> int:
    """Where the part that begins at ``start`` ends; it has one event at least, if any is left."""
    used = 0
    for index in range(start, len(events)):
        used += len(events[index].encoded) + 1
        if used > room and index > start:
            return index
    return len(events)
