"""A channel read once: the snapshot of what is held of it, its tag, and its answer's bytes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

import orjson

from tidewire.config.streams import Stream
from tidewire.identity.claims import Identity
from tidewire.protocol.channels import Channel
from tidewire.protocol.codes import Mode
from tidewire.protocol.frames import Subscribe
from tidewire.protocol.positions import Position

from .events import Event
from .feeds import Feed, FeedKey, Topology
from .recovery import current_events
from .resolving import channel_partitions, resolve

__all__ = [
    "ChannelSnapshot",
    "etag_of",
    "is_live",
    "names_etag",
    "resolve_channel",
    "take_snapshot",
]

_MAX_TAG = 512
"""Characters of a tag that still names every partition; a header beyond a few KiB is refused on the way."""
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """What the node held of ``channel`` when it had read up to ``position``.

    ``events`` are the newest of every entity. ``is_partial``: further entities may exist
    that the node does not hold.
    """

    channel: str
    position: Position
    events: list[Event]
    is_partial: bool

    @property
    def etag(self) -> str:
        return etag_of(self.position)

    def body(self, size: int) -> Iterator[bytes]:
        """The answer's JSON in slices of about ``size`` bytes, the events as they were encoded."""
        yield b'{"channel":%b,"position":%b,"events":[' % (
            orjson.dumps(self.channel),
            orjson.dumps(self.position.to_wire()),
        )
        yield from _slices((event.encoded for event in self.events), size)
        yield b'],"partial":true}' if self.is_partial else b"]}"


def resolve_channel(name: str, streams: Mapping[str, Stream], identity: Identity | None) -> Channel:
    """The channel that is asked for, by the rules of a subscription.

    Raises ``ProtocolError``: ``bad_request``, ``unknown_channel``, ``forbidden``.
    """
    request = Subscribe(None, name, mode=None, interval_ms=None, snapshot=True, since=None)
    return resolve(request, streams, identity).channel


def is_live(topology: Topology, channel: Channel) -> bool:
    """Whether every partition of the channel has caught up."""
    return topology.live.issuperset(channel_partitions(channel, topology))


def take_snapshot(name: str, channel: Channel, topology: Topology) -> ChannelSnapshot:
    """Everything held of a live channel, gathered without a copy of any event; ``name`` as it was asked for."""
    partitions = channel_partitions(channel, topology)
    key = FeedKey(channel, Mode.LATEST, 0)
    feed = Feed(0, key, topology=topology, partitions=partitions, max_window_bytes=1)
    return ChannelSnapshot(
        name,
        feed.position(),
        current_events(feed),
        is_partial=not all(topology.logs[p].is_table for p in partitions),
    )


def etag_of(position: Position) -> str:
    """A strong entity tag that names a position; a digest of it where a header could not carry it."""
    places = "".join(f".{p}-{o}" for p, o in sorted(position.offsets.items()))
    if len(places) > _MAX_TAG:
        places = "." + sha256(places.encode()).hexdigest()
    return f'"{position.epoch}{places}"'


def names_etag(if_none_match: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names ``etag``, compared weakly (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def _slices(items: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The items with commas between them."""
    part: list[bytes] = []
    used = 0
    is_first = True
    for item in items:
        part.append(item)
        used += len(item) + 1
        if used >= size:
            yield b",".join(part) if is_first else b"," + b",".join(part)
            part, used, is_first = [], 0, False
    if part:
        yield b",".join(part) if is_first else b"," + b",".join(part)
