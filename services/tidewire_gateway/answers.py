"""Write what one subscription is told beside the shared frames: answers, catching up, status."""

from tidewire.protocol.codes import FeedState, Mode, Recovered
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_gap, encode_status, encode_subscribed

from .core.coalescing import Batch
from .core.feeds import Feed, ReadySnapshot
from .core.outbox import snapshot_frames, updates_frames
from .core.recovery import CatchUp, current_events
from .core.subscriptions import Subscription
from .instruments import Instruments

__all__ = ["Answers"]


class Answers:
    """``max_frame`` bounds an outbound frame, in bytes."""

    def __init__(self, instruments: Instruments, *, max_frame: int) -> None:
        self._instruments = instruments
        self._max_frame = max_frame

    def begun(self, subscription: Subscription, request_id: int | None, caught: CatchUp) -> None:
        """`subscribed`, and in the same write everything that brings the subscription level."""
        answer = _subscribed(subscription, request_id, caught.begin, caught)
        subscription.receiver.write(answer + self._lacking(subscription.feed, caught))

    def standing(
        self, subscription: Subscription, request_id: int | None, standing: Position
    ) -> None:
        """`subscribed` for a subscription that stays where it stands until it can go on."""
        subscription.receiver.write(_subscribed(subscription, request_id, standing, None))

    def continued(self, subscription: Subscription, caught: CatchUp) -> None:
        """What a subscription missed while it was detached; a gap is announced before it goes on."""
        data = self._lacking(subscription.feed, caught)
        if caught.gap and caught.reason is not None:
            gap = encode_gap(subscription.feed.sub, caught.gap, caught.reason)
            data = text_frame(gap) + data
        subscription.receiver.write(data)

    def status(self, subscription: Subscription, state: FeedState, age: float) -> None:
        """``age`` in seconds: how long this has been so."""
        feed = subscription.feed
        missing = feed.missing if state is FeedState.STALE else []
        frame = encode_status(feed.sub, state, round(age * 1000), missing)
        subscription.receiver.write(text_frame(frame))

    def _lacking(self, feed: Feed, caught: CatchUp) -> bytes:
        if caught.is_snapshot:
            return self._snapshot(feed, caught.end)
        if not caught.events:
            return b""
        frames = updates_frames(feed.sub, caught.end, Batch(caught.events, 0), self._max_frame)
        data = b"".join(frames)
        self._instruments.delivered(1, len(caught.events), len(frames), len(data))
        return data

    def _snapshot(self, feed: Feed, position: Position) -> bytes:
        """The snapshot's frames; one made at the same position is shared."""
        if feed.snapshot is None or feed.snapshot.position != position:
            is_complete = feed.is_live and all(log.is_table for log in feed.topology.logs.values())
            events = current_events(feed)
            frames = snapshot_frames(
                feed.sub,
                position,
                events,
                partial=not is_complete,
                max_bytes=self._max_frame,
            )
            feed.snapshot = ReadySnapshot(position, b"".join(frames), len(events), len(frames))
        ready = feed.snapshot
        self._instruments.delivered(1, ready.events, ready.frames, len(ready.data))
        return ready.data


def _subscribed(
    subscription: Subscription,
    request_id: int | None,
    position: Position,
    caught: CatchUp | None,
) -> bytes:
    key = subscription.feed.key
    return text_frame(
        encode_subscribed(
            request_id,
            sub=subscription.feed.sub,
            channel=subscription.channel,
            mode=key.mode,
            interval_ms=key.interval_ms,
            position=position,
            recovered=_nothing_lost(key.mode) if caught is None else caught.recovered,
            gap=None if caught is None else caught.gap,
        )
    )


def _nothing_lost(mode: Mode) -> Recovered:
    return Recovered.EXACT if mode is Mode.EVERY else Recovered.CHANGES
