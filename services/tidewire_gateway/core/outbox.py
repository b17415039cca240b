"""Cut encoded events into frames of bounded size, the position only in the last."""

from collections.abc import Sequence

from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_snapshot, encode_updates

from .coalescing import Batch
from .events import Event

__all__ = ["snapshot_frames", "updates_frames"]

_ENVELOPE_BYTES = 1024
"""Room for everything in a frame that is not an event, but for the position."""


def updates_frames(sub: int, position: Position, batch: Batch, max_bytes: int) -> list[bytes]:
    """The frames of one flush, ready for the socket.

    A flush that is split moves the position only in its last frame, which also counts what was
    coalesced (docs/protocol.md, "Position").
    """
    *head, tail = _parts(batch.events, _room(position, max_bytes))
    stay = Position(position.epoch, {})
    frames = [text_frame(encode_updates(sub, stay, part, coalesced=0)) for part in head]
    frames.append(text_frame(encode_updates(sub, position, tail, coalesced=batch.coalesced)))
    return frames


def snapshot_frames(
    sub: int, position: Position, events: Sequence[Event], *, partial: bool, max_bytes: int
) -> list[bytes]:
    """The frames of a snapshot, ready for the socket; all but the last say ``more``."""
    *head, tail = _parts(events, _room(position, max_bytes))
    stay = Position(position.epoch, {})
    frames = [
        text_frame(encode_snapshot(sub, stay, part, partial=partial, more=True)) for part in head
    ]
    frames.append(text_frame(encode_snapshot(sub, position, tail, partial=partial, more=False)))
    return frames


def _room(position: Position, max_bytes: int) -> int:
    return max(1, max_bytes - _ENVELOPE_BYTES - 32 * len(position.offsets))


def _parts(events: Sequence[Event], room: int) -> list[list[bytes]]:
    """Encoded events in parts of at most ``room`` bytes (a single event may exceed it); never empty."""
    parts: list[list[bytes]] = [[]]
    used = 0
    for event in events:
        size = len(event.encoded) + 1
        if used + size > room and parts[-1]:
            parts.append([])
            used = 0
        parts[-1].append(event.encoded)
        used += size
    return parts
