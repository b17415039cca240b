"""One client's interest in one channel: attached to its feed, or detached with a position."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from tidewire.protocol.codes import FeedState
from tidewire.protocol.positions import Position

if TYPE_CHECKING:
    from .feeds import Feed
    from .snapshots import Snapshot

__all__ = ["STATE_NAMES", "Receiver", "Subscription", "SubscriptionState", "oldest_just_written"]

_JUST = 0.25
"""Seconds: what was written longer ago would make too much of how old it was when it arrived."""
_NEVER = 1 << 62


class Receiver(Protocol):
    """A connection, as the core sees it."""

    is_congested: bool
    """Earlier bytes are still unsent, more than the high-water mark or for too long."""

    def write(self, data: bytes) -> None:
        """Queue ready frames for the socket; never waits."""
        ...


class SubscriptionState(Enum):
    WAITING = auto()  # its partitions have not caught up, to the end or to where it stands
    BACKFILLING = auto()  # what it lacks is older than what the node holds; it is being read
    CATCHING_UP = auto()  # is handed what it lacks, as fast as its socket takes it
    JOINING = auto()  # lacks nothing, attaches at the next flush
    ATTACHED = auto()
    LAGGING = auto()  # the socket fell behind; caught up when it has drained
    PAUSED = auto()  # by the client
    ENDED = auto()

    __hash__ = object.__hash__
    """Enum's own is written in Python: states are counted, and looked up for every piece that is handed over."""


STATE_NAMES: Final[Mapping[SubscriptionState, str]] = MappingProxyType(
    {
        SubscriptionState.ATTACHED: "attached",
        SubscriptionState.JOINING: "joining",
        SubscriptionState.CATCHING_UP: "catching_up",
        SubscriptionState.BACKFILLING: "catching_up",
        SubscriptionState.LAGGING: "lagging",
        SubscriptionState.WAITING: "waiting",
        SubscriptionState.PAUSED: "paused",
    }
)
"""What the states of subscriptions that have not ended are called outside of the node."""


class Subscription:
    """State of a subscription; ``channel`` is its name as the client gave it.

    ``sequence`` is the last flush of the feed that was written to it; one that is not attached takes part
    in no flush. ``standing`` is its position while it is detached. ``owes_snapshot``: a snapshot has to
    replace what the client holds; ``snapshot`` is the one it is being handed, ``parts_sent`` how much of it.
    ``needs_live`` is false for one that began with what a node held that could not read all of its channel.
    ``is_unjudged``: it handed back a position of which it is not known yet what becomes.
    """

    __slots__ = (
        "behind_since",
        "channel",
        "feed",
        "is_unjudged",
        "needs_live",
        "owes_snapshot",
        "parts_sent",
        "receiver",
        "sequence",
        "snapshot",
        "standing",
        "state",
        "told",
    )

    def __init__(self, receiver: Receiver, feed: "Feed", channel: str) -> None:
        self.receiver = receiver
        self.feed = feed
        self.channel = channel
        self.state = SubscriptionState.WAITING
        self.sequence = _NEVER
        self.standing: Position | None = None
        self.owes_snapshot = False
        self.snapshot: Snapshot | None = None
        self.parts_sent = 0
        self.needs_live = True
        self.is_unjudged = False
        self.behind_since = 0.0  # when the socket was found behind; for one that lags
        self.told = FeedState.LIVE

    def attached_at(self, sequence: int) -> None:
        self.state = SubscriptionState.ATTACHED
        self.sequence = sequence
        self.standing = None
        self.needs_live = True

    def detach(self, state: SubscriptionState, standing: Position | None) -> None:
        self.state = state
        self.sequence = _NEVER
        self.standing = standing

    @property
    def is_attached(self) -> bool:
        return self.state is SubscriptionState.ATTACHED

    def start_snapshot(self, snapshot: "Snapshot") -> None:
        self.snapshot = snapshot
        self.parts_sent = 0

    def drop_snapshot(self) -> None:
        """Hand over no more of a snapshot that was begun; it is still owed."""
        self.snapshot = None
        self.parts_sent = 0


def oldest_just_written(subscriptions: Mapping[int, Subscription], now: float) -> float | None:
    """When the oldest event came about of the last flush that was written to one of these just before ``now``.

    None where none was. Both are in the time of `Feed.last_flush_at`.
    """
    feeds = [s.feed for s in subscriptions.values() if s.sequence == s.feed.sequence]
    written = [feed for feed in feeds if feed.oldest_at is not None]
    last = max(written, key=lambda feed: feed.last_flush_at, default=None)
    return None if last is None or last.last_flush_at < now - _JUST else last.oldest_at
