"""Carry out what clients ask of subscriptions, and tell them what the reader tells."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from tidewire.config.streams import Stream
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import ErrorCode, Recovered
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_error, encode_unsubscribed

from .answers import Answers
from .core.feed_index import FeedIndex
from .core.feeds import Feed, Topology, count_by_state
from .core.intervals import grant_interval_ms
from .core.limits import Limits
from .core.recovery import Resumption, resume, start_fresh
from .core.resolving import may_read, resolve
from .core.subscriptions import Subscription, SubscriptionState
from .fanout import Fanout
from .instruments import Instruments
from .levelling import Levelling, WantPast
from .membership import RETRY_AFTER_MS, Membership, Subscriber, topic_partitions
from .notices import Notices
from .timers import Timers
from .turns import Turns
from .unanswered import UnansweredRequests, UnresolvedRequests

__all__ = ["Delivery"]

_LOOKS = 50
"""Subscriptions looked at in a turn of the loop: encoding and writing a piece takes some 100 µs."""


class Delivery:
    """Subscriptions of all connections of a node. Everything runs in the event loop, nothing waits."""

    def __init__(
        self,
        streams: Mapping[str, Stream],
        topologies: Mapping[str, Topology],
        *,
        timers: Timers,
        index: FeedIndex,
        members: Membership,
        fanout: Fanout,
        want_past: WantPast,
        instruments: Instruments,
        limits: Limits,
    ) -> None:
        self._streams = streams
        self._topologies = topologies
        self._timers = timers
        self._index = index
        self._members = members
        self._fanout = fanout
        self._instruments = instruments
        self._limits = limits
        self._answers = Answers(instruments, max_frame=limits.max_frame_out)
        self._unanswered = UnansweredRequests(timers, limits.live_timeout, self._try_to_answer)
        self._unresolved = UnresolvedRequests[Subscriber](
            timers, limits.live_timeout, self._give_up_topology
        )
        self._notices = Notices(timers, self._answers, self._unanswered)
        self._levelling = Levelling(
            timers,
            self._answers,
            self._notices,
            want_past,
            instruments=instruments,
            limits=limits,
        )
        self._looks = Turns(timers, self._look, most=_LOOKS)
        self._live_streams: set[str] = set()
        fanout.hand_out = self._looks.add

    @property
    def stale_since(self) -> float | None:
        """Since when (the timers' time) the broker has not answered; None while it does."""
        return self._notices.away_since

    def count_subscriptions(self) -> None:
        """Make known how many stand how to their feeds; for the event loop, now and then."""
        self._instruments.subscriptions_by_state(count_by_state(self._index))

    # Requests

    def subscribe(self, subscriber: Subscriber, request: Subscribe) -> None:
        """Answer now, when the partitions are live, or after `Limits.live_timeout`."""
        key = resolve(request, self._streams, subscriber.identity)
        topology = self._topologies.get(key.channel.stream)
        if topology is None:
            self._unresolved.add(key.channel.stream, subscriber, request)
            return
        subscription = self._members.admit(
            subscriber, key, topology, channel=request.channel, request_id=request.id
        )
        subscription.is_unjudged = request.since is not None
        self._unanswered.add(subscription, request)
        self._try_to_answer(subscription)

    def update(self, subscriber: Subscriber, request: UpdateSubscription) -> None:
        """Change rate or pause: the subscription leaves its feed and catches up, here or in another."""
        subscription = self._of(subscriber, request.sub, request.id)
        is_paused = request.paused
        if is_paused is None:
            is_paused = subscription.state is SubscriptionState.PAUSED
        standing = self._leave(subscription)
        key = subscription.feed.key
        if request.interval_ms is not None:
            minimum = self._streams[key.channel.stream].min_interval_ms
            key = replace(key, interval_ms=grant_interval_ms(request.interval_ms, minimum))
        if key != subscription.feed.key:
            moved = self._members.move(subscriber, subscription, key, request.id)
            moved.is_unjudged = subscription.is_unjudged
            self._forget(subscription)
            subscription = moved
        subscription.drop_snapshot()
        hindrance = (
            SubscriptionState.PAUSED if is_paused else self._hindrance(subscription, standing)
        )
        if hindrance is None:
            self._begin(subscription, request.id, self._resume(subscription, standing))
        else:
            self._answers.standing(subscription, request.id, standing)
            self._levelling.wait(subscription, hindrance, standing)
        self._notices.review(subscription)

    def unsubscribe(self, subscriber: Subscriber, request: Unsubscribe) -> None:
        subscription = self._of(subscriber, request.sub, request.id)
        self._end(subscriber, subscription)
        reply = encode_unsubscribed(
            request.id, sub=request.sub, code="requested", reason="the client unsubscribed"
        )
        subscriber.write(text_frame(reply))

    def rights_changed(self, subscriber: Subscriber) -> None:
        """The connection has other credentials: what they do not cover ends."""
        for sub, subscription in list(subscriber.subscriptions.items()):
            stream = self._streams[subscription.feed.key.channel.stream]
            if not may_read(stream, subscriber.identity, subscription.channel):
                self._end(subscriber, subscription)
                reason = f"the new token does not allow {subscription.channel}"
                end = encode_unsubscribed(None, sub=sub, code=ErrorCode.FORBIDDEN, reason=reason)
                subscriber.write(text_frame(end))

    def drop(self, subscriber: Subscriber) -> None:
        """The connection has ended, and all its subscriptions with it."""
        for subscription in list(subscriber.subscriptions.values()):
            self._end(subscriber, subscription)
        self._unresolved.drop(subscriber)

    def drained(self, subscriber: Subscriber) -> None:
        """The socket has taken what was unsent: bring what lagged level again, while it takes more."""
        for sub, subscription in list(subscriber.subscriptions.items()):
            if subscriber.is_congested:
                return
            if subscription.state is SubscriptionState.LAGGING:
                self._notices.lagging(subscription)
            if (
                subscription.state in _HANDED_OVER
            ):  # the others have their turn before it the next time
                subscriber.subscriptions[sub] = subscriber.subscriptions.pop(sub)
            self._look(subscription)
            self._notices.review(subscription)

    # What the reader tells

    def topology_learned(self, stream: str) -> None:
        for subscriber, request in self._unresolved.take(stream):
            try:
                self.subscribe(subscriber, request)
            except ProtocolError as fault:
                self._refuse(subscriber, fault)

    def partition_live(self, stream: str) -> None:
        """A partition has caught up; once for all that do in this turn of the loop."""
        if stream not in self._live_streams:
            self._live_streams.add(stream)
            self._timers.call_soon(self._answer_live, stream)

    def advanced(self) -> None:
        """More was read: go on with those who stand where another node had read further to."""
        self._looks.add(self._levelling.ahead)

    def backfilled(self, partition: TopicPartition) -> None:
        """Older events of a partition are there, or it is known that they are not."""
        self._looks.add(self._levelling.backfilling(partition))

    def before_ends(self) -> Callable[[Mapping[TopicPartition, int]], None]:
        """Called before partitions are asked for their ends, the answer with what came.

        Who stood ahead of this node before the question, and of the end that was answered, stands beyond a
        truncated topic: only now is it known that it is not this node that reads behind another.
        """
        return partial(self._ends_known, self._levelling.ahead)

    def partitions_let_go(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are read no more: who needs one waits with its position until it is live again."""
        for feed in self._index:
            if not partitions.isdisjoint(topic_partitions(feed)):
                self._interrupt(feed)

    def topic_changed(self, stream: str, change: Callable[[], None]) -> None:
        """A stream's topic is another one now, or has more partitions: ``change`` says so of its topology.

        Everybody waits where it stands until the partitions that its channel has now are live.
        """
        feeds = self._index.of_stream(stream)
        for feed in feeds:
            self._interrupt(feed)
        change()
        for feed in feeds:
            self._members.retarget(feed)
            if feed.is_live:
                self._looks.add(feed.detached)

    def connected(self, is_connected: bool) -> None:
        """The broker answers (or is asked for nothing), or does not answer any more: everybody is told."""
        self._instruments.kafka_away.set(not is_connected)
        everybody = [s for feed in self._index for s in feed.members()]
        if is_connected:
            self._notices.source_back(everybody)
        else:
            self._notices.source_away(everybody)

    # Steps

    def _ends_known(
        self, ahead: Iterable[Subscription], ends: Mapping[TopicPartition, int]
    ) -> None:
        for subscription in ahead:
            if not self._levelling.is_ahead(subscription) or not subscription.feed.is_live:
                continue
            if self._is_beyond(subscription, ends):
                if subscription in self._unanswered:
                    self._answer(subscription)
                else:
                    self._levelling.truncated(subscription)
                    self._looks.add([subscription])

    def _is_beyond(self, subscription: Subscription, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether it stands beyond the end of every partition in which the node has not read as far."""
        feed = subscription.feed
        since = subscription.standing
        if subscription in self._unanswered:
            since = self._unanswered.request_of(subscription).since
        offsets = {} if since is None else since.offsets
        logs = feed.topology.logs
        ahead = [p for p in feed.partitions if offsets.get(p, 0) > logs[p].next_offset]
        places = {p: TopicPartition(feed.topology.topic, p) for p in ahead}
        return bool(ahead) and all(offsets[p] > ends.get(places[p], offsets[p]) for p in ahead)

    def _try_to_answer(self, subscription: Subscription) -> None:
        """Answer a subscribe request if that can be done now.

        Late, it is answered in any case: a fresh one begins with what the node holds, one that resumes stays
        where it stands.
        """
        feed, request = subscription.feed, self._unanswered.request_of(subscription)
        if subscription.receiver.is_congested:
            return
        if feed.is_live and (request.since is None or not feed.is_behind(request.since)):
            self._answer(subscription)
        elif not self._unanswered.is_late(subscription):
            self._levelling.watch(subscription)
        elif request.since is None:
            subscription.needs_live = False
            self._answer(subscription)
        else:
            self._unanswered.discard(subscription)
            self._answers.standing(subscription, request.id, request.since)
            self._levelling.wait(subscription, SubscriptionState.WAITING, request.since)
        self._notices.review(subscription)

    def _answer(self, subscription: Subscription) -> None:
        """The first answer to a subscription: what it starts from, and the first of what it lacks."""
        request = self._unanswered.request_of(subscription)
        self._unanswered.discard(subscription)
        if request.since is None:
            resumption = start_fresh(subscription.feed, snapshot=request.snapshot)
        else:
            resumption = self._resume(subscription, request.since)
        self._begin(subscription, request.id, resumption)

    def _begin(
        self, subscription: Subscription, request_id: int | None, resumption: Resumption
    ) -> None:
        self._answers.begun(subscription, request_id, resumption)
        self._levelling.begin(subscription, resumption)
        self._look(subscription)

    def _resume(self, subscription: Subscription, standing: Position) -> Resumption:
        resumption = resume(subscription.feed, standing, reach_back=self._limits.backfill_records)
        if subscription.owes_snapshot and not resumption.owes_snapshot:
            resumption = Resumption(Recovered.SNAPSHOT, standing, owes_snapshot=True)
        self._levelling.judged(subscription, resumption)
        return resumption

    def _hindrance(
        self, subscription: Subscription, standing: Position
    ) -> SubscriptionState | None:
        """The state in which a subscription must stay where it stands, if it must."""
        if not self._levelling.may_go_on(subscription, standing):
            return SubscriptionState.WAITING
        if subscription.receiver.is_congested:
            subscription.behind_since = self._timers.time()
            return SubscriptionState.LAGGING
        return None

    def _answer_live(self, stream: str) -> None:
        """Answer, or go on with, those whose channel is complete now."""
        self._live_streams.discard(stream)
        for feed in self._index.of_stream(stream):
            if feed.is_live:
                self._fanout.move_on(feed)
                self._looks.add(feed.detached)
                self._notices.review_soon(feed.members())

    def _look(self, subscription: Subscription) -> None:
        """Do for a subscription what can be done now, and the rest in later turns of the loop."""
        if subscription in self._unanswered:
            self._try_to_answer(subscription)
        elif self._levelling.go_on(subscription):
            self._looks.add([subscription])

    def _interrupt(self, feed: Feed) -> None:
        for subscription in [*feed.attached, *feed.joining]:
            standing = self._leave(subscription)
            feed.detach(subscription, SubscriptionState.WAITING, standing)
        for subscription in feed.detached:
            subscription.needs_live = True  # where it stands is judged anew
        feed.forget_history()
        self._notices.review_soon(feed.detached)

    def _leave(self, subscription: Subscription) -> Position:
        """Where a subscription stands once everything on its way to it is written."""
        self._fanout.settle(subscription)
        if subscription.is_attached:
            return subscription.feed.sent_position()
        assert subscription.standing is not None
        return subscription.standing

    def _of(self, subscriber: Subscriber, sub: int, request_id: int | None) -> Subscription:
        subscription = subscriber.subscriptions.get(sub)
        if subscription is None or subscription in self._unanswered:
            raise ProtocolError(
                ErrorCode.BAD_REQUEST,
                f"this connection has no subscription {sub}",
                request_id=request_id,
            )
        return subscription

    def _end(self, subscriber: Subscriber, subscription: Subscription) -> None:
        self._forget(subscription)
        self._members.end(subscriber, subscription)

    def _forget(self, subscription: Subscription) -> None:
        self._unanswered.discard(subscription)
        self._levelling.forget(subscription)
        self._looks.discard(subscription)

    def _give_up_topology(self, subscriber: Subscriber, request: Subscribe, stream: str) -> None:
        fault = ProtocolError(
            ErrorCode.UNAVAILABLE,
            f"the topic of stream {stream} cannot be reached",
            request_id=request.id,
            retry_after_ms=RETRY_AFTER_MS,
        )
        self._refuse(subscriber, fault)

    def _refuse(self, subscriber: Subscriber, fault: ProtocolError) -> None:
        self._instruments.error(fault.code)
        subscriber.write(text_frame(encode_error(fault)))


_HANDED_OVER = frozenset({SubscriptionState.CATCHING_UP, SubscriptionState.LAGGING})
