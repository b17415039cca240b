"""Carry out what clients ask of subscriptions: wait for partitions, catch up, attach, let go."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from tidewire.config.streams import Stream
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import ErrorCode, FeedState
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_error, encode_unsubscribed

from .answers import Answers
from .core.feed_index import FeedIndex
from .core.feeds import Feed, Topology
from .core.intervals import grant_interval_ms
from .core.limits import Limits
from .core.recovery import catch_up, start_fresh
from .core.resolving import may_read, resolve
from .core.subscriptions import Subscription, SubscriptionState
from .fanout import Fanout
from .instruments import Instruments
from .membership import RETRY_AFTER_MS, Membership, Subscriber, topic_partitions
from .timers import Timers
from .unanswered import UnansweredRequests, UnresolvedRequests

__all__ = ["Delivery"]


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
        self._answers = Answers(instruments, max_frame=limits.max_frame_out)
        self._unanswered = UnansweredRequests(timers, limits.live_timeout, self._try_to_answer)
        self._unresolved = UnresolvedRequests[Subscriber](
            timers, limits.live_timeout, self._give_up_topology
        )
        self._ahead: set[Subscription] = set()
        self._live_streams: set[str] = set()
        self._stale_since: float | None = None

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
            self._forget(subscription)
            subscription = moved
        feed = subscription.feed
        hindrance = (
            SubscriptionState.PAUSED if is_paused else self._hindrance(subscription, standing)
        )
        if hindrance is None:
            caught = catch_up(feed, standing)
            self._answers.begun(subscription, request.id, caught)
            feed.join(subscription, caught.end)
        else:
            self._answers.standing(subscription, request.id, standing)
            self._hold(subscription, hindrance, standing)

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
        for subscription in list(subscriber.subscriptions.values()):
            if subscriber.is_congested:
                return
            if subscription in self._unanswered:
                self._try_to_answer(subscription)
            elif subscription.state is SubscriptionState.LAGGING:
                self._answers.status(subscription, FeedState.LAGGING, 0)
                subscription.is_stale = True
                self._go_on(subscription)

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
        for subscription in list(self._ahead):
            self._retry(subscription)

    def before_ends(self) -> Callable[[Mapping[TopicPartition, int]], None]:
        """Called before partitions are asked for their ends, the answer with what came.

        Who stood ahead before the question, of a partition that is read to its end, stands beyond a
        truncated topic: only now is it known that it is not this node that reads behind another.
        """
        return partial(self._ends_known, list(self._ahead))

    def partitions_let_go(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are read no more: who needs one waits with its position until it is live again."""
        for feed in self._index:
            if not partitions.isdisjoint(topic_partitions(feed)):
                self._interrupt(feed)

    def connected(self, is_connected: bool) -> None:
        """The broker answers, or does not any more: everybody is told."""
        self._stale_since = None if is_connected else self._timers.time()
        for feed in self._index:
            if not is_connected:
                self._tell_stale(feed.members())
            elif feed.is_live:
                self._tell_live(feed.members())

    # Steps

    def _ends_known(
        self, ahead: Iterable[Subscription], ends: Mapping[TopicPartition, int]
    ) -> None:
        for subscription in ahead:
            if subscription not in self._ahead or not subscription.feed.is_live:
                continue
            logs = subscription.feed.topology.logs
            places = topic_partitions(subscription.feed)
            if all(p in ends and logs[p.partition].next_offset >= ends[p] for p in places):
                if subscription in self._unanswered:
                    self._answer(subscription)
                else:
                    self._level(subscription)

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
            self._watch(subscription)
        elif request.since is None:
            self._answer(subscription)
            if not subscription.is_stale:
                self._tell_stale([subscription])
        else:
            self._unanswered.discard(subscription)
            self._answers.standing(subscription, request.id, request.since)
            self._hold(subscription, SubscriptionState.WAITING, request.since)
            self._tell_stale([subscription])

    def _answer(self, subscription: Subscription) -> None:
        """The first answer to a subscription: what it starts from, and everything it lacks."""
        feed, request = subscription.feed, self._unanswered.request_of(subscription)
        self._unanswered.discard(subscription)
        self._ahead.discard(subscription)
        if request.since is None:
            caught = start_fresh(feed, snapshot=request.snapshot)
        else:
            caught = catch_up(feed, request.since)
            self._instruments.resumed(caught.recovered)
        self._answers.begun(subscription, request.id, caught)
        feed.join(subscription, caught.end)
        if self._stale_since is not None:
            self._tell_stale([subscription])

    def _answer_live(self, stream: str) -> None:
        """Answer, or go on with, those whose channel is complete now."""
        self._live_streams.discard(stream)
        for feed in self._index.of_stream(stream):
            if feed.is_live:
                for subscription in list(feed.detached):
                    if subscription.state is SubscriptionState.WAITING:
                        self._retry(subscription)
                self._tell_live(feed.members())

    def _retry(self, subscription: Subscription) -> None:
        if subscription in self._unanswered:
            self._try_to_answer(subscription)
        else:
            self._go_on(subscription)

    def _go_on(self, subscription: Subscription) -> None:
        """Bring a detached subscription level and attach it, if nothing hinders."""
        assert subscription.standing is not None
        hindrance = self._hindrance(subscription, subscription.standing)
        if hindrance is None:
            self._level(subscription)
        else:
            self._hold(subscription, hindrance, subscription.standing)

    def _level(self, subscription: Subscription) -> None:
        assert subscription.standing is not None
        self._ahead.discard(subscription)
        caught = catch_up(subscription.feed, subscription.standing)
        self._answers.continued(subscription, caught)
        subscription.feed.join(subscription, caught.end)
        self._tell_live([subscription])

    def _hindrance(
        self, subscription: Subscription, standing: Position
    ) -> SubscriptionState | None:
        """The state in which a subscription must stay where it stands, if it must."""
        feed = subscription.feed
        if not feed.is_live or feed.is_behind(standing):
            return SubscriptionState.WAITING
        if subscription.receiver.is_congested:
            return SubscriptionState.LAGGING
        return None

    def _hold(
        self, subscription: Subscription, state: SubscriptionState, standing: Position
    ) -> None:
        subscription.feed.detach(subscription, state, standing)
        if state is SubscriptionState.WAITING:
            self._watch(subscription)
        else:
            self._ahead.discard(subscription)

    def _watch(self, subscription: Subscription) -> None:
        """See to it that one who stands ahead of a live feed is looked at after every fetch."""
        if subscription.feed.is_live:
            self._ahead.add(subscription)

    def _interrupt(self, feed: Feed) -> None:
        for subscription in [*feed.attached, *feed.joining]:
            standing = self._leave(subscription)
            feed.detach(subscription, SubscriptionState.WAITING, standing)
        self._tell_stale(list(feed.detached))

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
        self._ahead.discard(subscription)

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

    def _tell_stale(self, subscriptions: Iterable[Subscription]) -> None:
        since = self._stale_since
        age = 0.0 if since is None else self._timers.time() - since
        for subscription in subscriptions:
            if subscription not in self._unanswered:
                subscription.is_stale = True
                self._answers.status(subscription, FeedState.STALE, age)

    def _tell_live(self, subscriptions: Iterable[Subscription]) -> None:
        """Those who were told otherwise are live again, unless they still wait or the broker is away."""
        if self._stale_since is not None:
            return
        for subscription in subscriptions:
            if subscription.is_stale and subscription.state in _FLOWING:
                subscription.is_stale = False
                self._answers.status(subscription, FeedState.LIVE, 0)


_FLOWING = frozenset(
    {SubscriptionState.ATTACHED, SubscriptionState.JOINING, SubscriptionState.PAUSED}
)
