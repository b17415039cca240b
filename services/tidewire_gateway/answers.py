"""Write what one subscription is told beside the shared frames: answers, pieces, status."""

from tidewire.protocol.codes import FeedState, GapReason, Mode, Recovered
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import (
    encode_gap,
    encode_status,
    encode_subscribed,
    encode_updates,
)

from .core.backlog import Piece
from .core.coalescing import Batch
from .core.feeds import Feed
from .core.outbox import updates_frames
from .core.recovery import Resumption
from .core.subscriptions import Subscription
from .instruments import Instruments

__all__ = ["Answers"]


class Answers:
    """``max_frame`` bounds an outbound frame, in bytes."""

    def __init__(self, instruments: Instruments, *, max_frame: int) -> None:
        self._instruments = instruments
        self._max_frame = max_frame

    def begun(
        self, subscription: Subscription, request_id: int | None, resumption: Resumption
    ) -> None:
        """`subscribed`: where the subscription goes on from, and what it lost; to begin with, it is live."""
        subscription.told = FeedState.LIVE
        subscription.receiver.write(_subscribed(subscription, request_id, resumption))

    def standing(
        self, subscription: Subscription, request_id: int | None, standing: Position
    ) -> None:
        """`subscribed` for a subscription that stays where it stands until it can go on."""
        recovered = _nothing_lost(subscription)
        self.begun(subscription, request_id, Resumption(recovered, standing))

    def gap(self, subscription: Subscription, resumption: Resumption) -> None:
        """Announce what is lost; in another epoch also where the subscription goes on, even if nothing follows."""
        assert resumption.gap is not None
        assert resumption.reason is not None
        sub = subscription.feed.sub
        data = text_frame(encode_gap(sub, resumption.gap, resumption.reason))
        if resumption.reason is GapReason.RECREATED:
            data += text_frame(encode_updates(sub, resumption.begin, (), coalesced=0))
        subscription.receiver.write(data)

    def encode_piece(self, feed: Feed, piece: Piece) -> bytes:
        position = Position(feed.topology.epoch, piece.moved)
        return b"".join(updates_frames(feed.sub, position, Batch(piece.events, 0), self._max_frame))

    def piece(self, subscription: Subscription, events: int, frames: bytes) -> None:
        """Hand over a piece of what the subscription lacks."""
        self._instruments.delivered(1, events, len(frames))
        subscription.receiver.write(frames)

    def status(self, subscription: Subscription, state: FeedState, age: float) -> None:
        """``age`` in seconds: how long this has been so."""
        feed = subscription.feed
        missing = feed.missing if state is FeedState.STALE else []
        frame = encode_status(feed.sub, state, round(age * 1000), missing)
        subscription.receiver.write(text_frame(frame))


def _subscribed(
    subscription: Subscription, request_id: int | None, resumption: Resumption
) -> bytes:
    key = subscription.feed.key
    return text_frame(
        encode_subscribed(
            request_id,
            sub=subscription.feed.sub,
            channel=subscription.channel,
            mode=key.mode,
            interval_ms=key.interval_ms,
            position=resumption.begin,
            recovered=resumption.recovered,
            gap=resumption.gap,
            reason=resumption.reason,
        )
    )


def _nothing_lost(subscription: Subscription) -> Recovered:
    if subscription.owes_snapshot:
        return Recovered.SNAPSHOT
    is_every = subscription.feed.key.mode is Mode.EVERY
    return Recovered.EXACT if is_every else Recovered.CHANGES
