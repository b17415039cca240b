"""Letters as clients are given them."""

from tidewire.protocol.server_frames import encode_message
from tidewire.targeting.messages import Letter

from ..core.events import Event

__all__ = ["event_of"]


def event_of(letter: Letter) -> Event:
    """The event of a letter; what coalesces is its collapse key, where it has none it stands for itself."""
    partition, offset, ts_ms = letter.partition, letter.offset, letter.ts_ms
    key = letter.collapse_key or letter.id
    encoded = encode_message(key, letter.id, letter.data, ts_ms, (partition, offset))
    return Event(key, letter.user, partition, offset, ts_ms, False, encoded)
