"""Letters as clients are given them, and as traces know them."""

from typing import Final

from tidewire.kafka.records import Record
from tidewire.protocol.server_frames import encode_message
from tidewire.protocol.trace_context import sampled
from tidewire.targeting.messages import Letter

from ..core.events import Event
from ..core.sampling import SampledEvent
from ..traces import Destination
from .push import NO_OFFSET, Push

__all__ = ["CHANNEL", "DESTINATION", "event_of", "sampled_letter", "sampled_push"]

CHANNEL: Final = "@me"
DESTINATION: Final = Destination(CHANNEL, CHANNEL, CHANNEL, "every", 0)
"""Of whatever is pushed to a user."""


def event_of(letter: Letter) -> Event:
    """The event of a letter; what coalesces is its collapse key, where it has none it stands for itself."""
    partition, offset, ts_ms = letter.partition, letter.offset, letter.ts_ms
    key = letter.collapse_key or letter.id
    encoded = encode_message(key, letter.id, letter.data, ts_ms, (partition, offset))
    return Event(key, letter.user, partition, offset, ts_ms, False, encoded)


def sampled_letter(letter: Letter, record: Record) -> SampledEvent | None:
    """The letter that an inbox record brought; None where it is not sampled."""
    parent = None if letter.traceparent is None else sampled(letter.traceparent.encode())
    if parent is None:
        return None
    event = SampledEvent(parent, letter.user, record.partition, record.offset, letter.ts_ms)
    event.routed_ms = record.timestamp_ms
    return event


def sampled_push(push: Push) -> SampledEvent | None:
    """None where it is not sampled."""
    parent = sampled(push.traceparent)
    if parent is None:
        return None
    return SampledEvent(parent, push.user, NO_OFFSET, NO_OFFSET, push.ts_ms)
