"""One client's interest in one channel: attached to its feed, or detached with a position."""

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from tidewire.protocol.positions import Position

if TYPE_CHECKING:
    from .feeds import Feed

__all__ = ["Receiver", "Subscription", "SubscriptionState"]

_NEVER = 1 << 62


class Receiver(Protocol):
    """A connection, as the core sees it."""

    is_congested: bool
    """Earlier bytes are still unsent beyond the high-water mark."""

    def write(self, data: bytes) -> None:
        """Queue ready frames for the socket; never waits."""
        ...


class SubscriptionState(Enum):
    WAITING = auto()  # its partitions have not caught up, to the end or to where it stands
    JOINING = auto()  # has its snapshot, attaches at the next flush
    ATTACHED = auto()
    LAGGING = auto()  # the socket is behind; caught up when it has drained
    PAUSED = auto()  # by the client
    ENDED = auto()


class Subscription:
    """State of a subscription; ``channel`` is its name as the client gave it.

    ``sequence`` is the last flush of the feed that was written to it; one that is not attached takes part
    in no flush. ``standing`` is its position while it is detached.
    """

    __slots__ = ("channel", "feed", "is_stale", "receiver", "sequence", "standing", "state")

    def __init__(self, receiver: Receiver, feed: "Feed", channel: str) -> None:
        self.receiver = receiver
        self.feed = feed
        self.channel = channel
        self.state = SubscriptionState.WAITING
        self.sequence = _NEVER
        self.standing: Position | None = None
        self.is_stale = False  # and the client was told so

    def attached_at(self, sequence: int) -> None:
        self.state = SubscriptionState.ATTACHED
        self.sequence = sequence
        self.standing = None

    def detach(self, state: SubscriptionState, standing: Position | None) -> None:
        self.state = state
        self.sequence = _NEVER
        self.standing = standing

    @property
    def is_attached(self) -> bool:
        return self.state is SubscriptionState.ATTACHED
