"""Bring detached subscriptions level with what the node has read, at the pace of their sockets."""

from collections.abc import Callable, Mapping

from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import FeedState, Recovered
from tidewire.protocol.positions import Position

from .answers import Answers
from .core.feeds import Feed
from .core.limits import Limits
from .core.recovery import Resumption, backlog_of, current_events, not_held, resume, source_of
from .core.snapshots import Snapshot
from .core.subscriptions import Subscription, SubscriptionState
from .instruments import Instruments
from .membership import topic_partitions
from .notices import Notices
from .timers import Timers

__all__ = ["Levelling", "WantPast"]

_SMALL_PIECE = 4 * 1024
"""Bytes for one who lags: what waits in the socket is as old as it took to get there."""
_TIDY_INTERVAL = 1.0
_HANDED_OVER = frozenset({SubscriptionState.CATCHING_UP, SubscriptionState.LAGGING})
_AT_REST = frozenset(
    {
        SubscriptionState.ATTACHED,
        SubscriptionState.JOINING,
        SubscriptionState.PAUSED,
        SubscriptionState.ENDED,
    }
)


WantPast = Callable[[TopicPartition, int], None]
"""Somebody lacks a partition's events from an offset on: `Delivery.backfilled` is told when some are there."""


class Levelling:
    """One piece at a time: the next one when the socket has room, in a later turn of the loop."""

    def __init__(
        self,
        timers: Timers,
        answers: Answers,
        notices: Notices,
        want_past: WantPast,
        *,
        instruments: Instruments,
        limits: Limits,
    ) -> None:
        self._timers = timers
        self._answers = answers
        self._notices = notices
        self._want_past = want_past
        self._instruments = instruments
        self._limits = limits
        self._ahead: set[Subscription] = set()
        self._backfilling: set[Subscription] = set()
        self._untidy: dict[Feed, None] = {}

    def begin(self, subscription: Subscription, resumption: Resumption) -> None:
        """The client was told ``resumption``: go on from there."""
        subscription.drop_snapshot()
        subscription.owes_snapshot = resumption.owes_snapshot
        self._hold(subscription, SubscriptionState.CATCHING_UP, resumption.begin)

    def wait(
        self, subscription: Subscription, state: SubscriptionState, standing: Position
    ) -> None:
        """Stay at ``standing`` until something happens."""
        self._hold(subscription, state, standing)
        if state is SubscriptionState.WAITING:
            self.watch(subscription)

    def watch(self, subscription: Subscription) -> None:
        """See to it that one who stands ahead of a live feed is looked at after every fetch."""
        if subscription.feed.is_live:
            self._ahead.add(subscription)

    def forget(self, subscription: Subscription) -> None:
        self._ahead.discard(subscription)
        self._backfilling.discard(subscription)

    @property
    def ahead(self) -> list[Subscription]:
        """Those who stand where another node had read further to."""
        return list(self._ahead)

    def is_ahead(self, subscription: Subscription) -> bool:
        return subscription in self._ahead

    def backfilling(self, partition: TopicPartition) -> list[Subscription]:
        """Those who may have waited for older events of a partition."""
        return [s for s in self._backfilling if partition in topic_partitions(s.feed)]

    def may_go_on(self, subscription: Subscription, standing: Position) -> bool:
        """Whether the node has read as far as ``standing``, of every partition."""
        feed = subscription.feed
        return feed.is_live and not feed.is_behind(standing)

    def go_on(self, subscription: Subscription) -> bool:
        """Hand over the next piece, and attach who lacks nothing more; whether there is more to hand over."""
        if subscription.state in _AT_REST:
            return False
        if _is_full(subscription):
            if subscription.state not in _HANDED_OVER:
                self._hold(subscription, SubscriptionState.CATCHING_UP)
            return False
        while not _is_full(subscription) and self._step(subscription):
            pass
        self._notices.review(subscription)
        return subscription.state is SubscriptionState.CATCHING_UP

    def judged(self, subscription: Subscription, resumption: Resumption) -> None:
        """Count what becomes of the position that a subscription handed back, once."""
        if subscription.is_unjudged:
            subscription.is_unjudged = False
            source = source_of(subscription.feed, resumption)
            self._instruments.resumed(resumption.recovered, source)

    def truncated(self, subscription: Subscription) -> None:
        """It stands beyond the end of its topic, and no node will ever get there."""
        assert subscription.standing is not None
        self._judge(subscription, subscription.standing, self._limits.backfill_records)
        self._hold(subscription, SubscriptionState.CATCHING_UP)

    # Steps: each returns whether another may follow at once

    def _step(self, subscription: Subscription) -> bool:
        if subscription.snapshot is not None:
            return self._hand_part(subscription, subscription.snapshot)
        standing = subscription.standing
        assert standing is not None
        if subscription.needs_live:
            if not self.may_go_on(subscription, standing):
                self.wait(subscription, SubscriptionState.WAITING, standing)
                return False
            if not subscription.owes_snapshot:
                standing = self._judge(subscription, standing, 2 * self._limits.backfill_records)
        else:
            standing = subscription.feed.completed(standing)
        if subscription.owes_snapshot:
            subscription.start_snapshot(self._snapshot(subscription.feed))
            return True
        return self._hand_piece(subscription, standing)

    def _judge(self, subscription: Subscription, standing: Position, reach_back: int) -> Position:
        """Announce what was lost of what comes after ``standing`` while it stood there."""
        resumption = resume(subscription.feed, standing, reach_back=reach_back)
        self.judged(subscription, resumption)
        if resumption.recovered is Recovered.SNAPSHOT:
            subscription.owes_snapshot = True
        elif resumption.recovered is Recovered.GAP:
            self._answers.gap(subscription, resumption)
        subscription.standing = resumption.begin
        return resumption.begin

    def _hand_part(self, subscription: Subscription, snapshot: Snapshot) -> bool:
        part = subscription.parts_sent
        frame = snapshot.frame(part)
        self._answers.piece(subscription, snapshot.events_in(part), frame)
        if not snapshot.is_last(part):
            subscription.parts_sent += 1
            self._hold(subscription, SubscriptionState.CATCHING_UP)
            return False
        subscription.drop_snapshot()
        subscription.owes_snapshot = False
        self._hold(subscription, SubscriptionState.CATCHING_UP, snapshot.position)
        return True

    def _hand_piece(self, subscription: Subscription, standing: Position) -> bool:
        feed = subscription.feed
        if _is_level(feed, standing):
            self.forget(subscription)
            feed.join(subscription, feed.position())
            return False
        lacking = not_held(feed, standing)
        backlog = backlog_of(feed, standing, without=lacking.keys())
        self._tidy_later(feed)
        if lacking and not backlog.covers(standing.offsets):
            self._ask_for(subscription, standing, lacking)
            return False
        piece, frames = backlog.encoded(
            standing.offsets,
            self._piece_bytes(subscription),
            lambda piece: self._answers.encode_piece(feed, piece),
        )
        moved = Position(standing.epoch, {**standing.offsets, **piece.moved})
        self._hold(subscription, SubscriptionState.CATCHING_UP, moved)
        if piece.events:
            self._answers.piece(subscription, len(piece.events), frames)
        assert piece.moved, "whoever is not level can be moved on"
        return not piece.events or _is_level(feed, moved)

    def _ask_for(
        self, subscription: Subscription, standing: Position, lacking: Mapping[int, int]
    ) -> None:
        self._hold(subscription, SubscriptionState.BACKFILLING, standing)
        self._backfilling.add(subscription)
        topic = subscription.feed.topology.topic
        for partition, offset in lacking.items():
            self._want_past(TopicPartition(topic, partition), offset)

    def _hold(
        self,
        subscription: Subscription,
        state: SubscriptionState,
        standing: Position | None = None,
    ) -> None:
        self.forget(subscription)
        standing = standing or subscription.standing
        assert standing is not None
        subscription.feed.detach(subscription, state, standing)

    def _piece_bytes(self, subscription: Subscription) -> int:
        most = min(self._limits.high_water, self._limits.max_frame_out)
        return min(_SMALL_PIECE, most) if subscription.told is FeedState.LAGGING else most

    def _snapshot(self, feed: Feed) -> Snapshot:
        now = self._timers.time()
        snapshot = feed.shared_snapshot(now)
        if snapshot is None:
            is_complete = feed.is_live and all(log.is_table for log in feed.topology.logs.values())
            snapshot = Snapshot(
                feed.sub,
                feed.position(),
                current_events(feed),
                is_partial=not is_complete,
                max_bytes=min(self._limits.high_water, self._limits.max_frame_out),
                made_at=now,
            )
            if feed.is_live:
                feed.share(snapshot)
                self._tidy_later(feed)
        return snapshot

    def _tidy_later(self, feed: Feed) -> None:
        if not self._untidy:
            self._timers.call_later(_TIDY_INTERVAL, self._tidy)
        self._untidy[feed] = None

    def _tidy(self) -> None:
        now = self._timers.time()
        left = [feed for feed in self._untidy if not feed.tidy(now)]
        self._untidy = {}
        for feed in left:
            self._tidy_later(feed)


def _is_full(subscription: Subscription) -> bool:
    """Whether its socket can take no more for now."""
    return subscription.receiver.is_congested


def _is_level(feed: Feed, standing: Position) -> bool:
    here = feed.position()
    return all(standing.offsets.get(p, 0) == offset for p, offset in here.offsets.items())
