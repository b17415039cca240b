"""Where a recorded subscription stands, by the client's own rules, events left aside; pure."""

from tidewire_client.messages import Gap, GapNotice, Snapshot, Subscribed, Updates
from tidewire_client.position import Position as SdkPosition
from tidewire_client.subscription_state import SubscriptionState

from .entries import Position
from .wire import Heading

__all__ = ["Place"]


class Place:
    """What a resume hands back, kept by the SDK from messages whose events are left out.

    ``position`` is None until the first snapshot is complete.
    """

    def __init__(self, *, snapshot: bool) -> None:
        self._state = SubscriptionState(snapshot=snapshot)
        self.is_begun = False

    @property
    def position(self) -> Position | None:
        position = self._state.position
        return None if position is None else Position(position.epoch, dict(position.offsets))

    @property
    def feed_state(self) -> str:
        """`live`, `stale` or `lagging`, as last told."""
        return self._state.feed_state

    @property
    def is_ready(self) -> bool:
        """Whether it has begun and waits for no snapshot."""
        return self.is_begun and not self._state.awaits_snapshot

    def take(self, heading: Heading) -> None:
        payload = heading.payload
        match heading.type:
            case "subscribed":
                self._subscribed(heading)
            case "snapshot":
                self._state.snapshot(
                    Snapshot(_sub(heading), _position(heading), (), more=payload.more)
                )
            case "updates":
                self._state.updates(Updates(_sub(heading), _position(heading), ()))
            case "gap":
                gap = Gap(payload.gap or {}, payload.reason)
                self._state.gap(GapNotice(_sub(heading), gap))
            case "status":
                self._state.feed_state = payload.state

    def lost(self) -> None:
        """The connection is over."""
        self.is_begun = False

    def _subscribed(self, heading: Heading) -> None:
        payload = heading.payload
        self.is_begun = True
        self._state.subscribed(
            Subscribed(
                _sub(heading),
                payload.channel,
                payload.mode,
                payload.interval_ms,
                _position(heading),
                payload.recovered,
                gap=None if payload.gap is None else Gap(payload.gap),
            )
        )


def _sub(heading: Heading) -> int:
    assert heading.payload.sub is not None, f"{heading.type} without sub"
    return heading.payload.sub


def _position(heading: Heading) -> SdkPosition:
    position = heading.payload.position
    assert position is not None, f"{heading.type} without position"
    return SdkPosition(position.epoch, position.offsets)
