"""Carry out what clients ask of subscriptions: wait for partitions, catch up, attach, let go."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tidewire.config.streams import Stream
from tidewire.identity.tokens import Identity
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import ErrorCode, FeedState
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_error, encode_unsubscribed

from .answers import Answers
from .core.demand import Demand
from .core.feed_index import FeedIndex
from .core.feeds import Feed, FeedKey, Topology
from .core.intervals import grant_interval_ms
from .core.limits import Limits
from .core.recovery import catch_up, start_fresh
from .core.resolving import channel_partitions, resolve
from .core.subscriptions import Receiver, Subscription, SubscriptionState
from .fanout import Fanout
from .instruments import Instruments
from .timers import Handle, Timers

__all__ = ["Delivery", "Subscriber"]

_RETRY_AFTER_MS = 1000


class Subscriber(Receiver, Protocol):
    """A connection that asks for subscriptions; ``subscriptions`` by the number of their feed."""

    identity: Identity | None
    subscriptions: dict[int, Subscription]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A subscribe request whose partitions have not caught up, and when it is answered all the same."""

    request: Subscribe
    timer: Handle


@dataclass(frozen=True, slots=True)
class _Unresolved:
    """A subscribe request for a stream whose topic the node does not know yet."""

    subscriber: Subscriber
    request: Subscribe
    timer: Handle


class Delivery:
    """Subscriptions of all connections of a node. Everything runs in the event loop, nothing waits."""

    def __init__(
        self,
        streams: Mapping[str, Stream],
        topologies: Mapping[str, Topology],
        *,
        timers: Timers,
        index: FeedIndex,
        demand: Demand,
        fanout: Fanout,
        instruments: Instruments,
        limits: Limits,
        on_demand: Callable[[], None],
    ) -> None:
        self._streams = streams
        self._topologies = topologies
        self._index = index
        self._demand = demand
        self._fanout = fanout
        self._instruments = instruments
        self._limits = limits
        self._on_demand = on_demand
        self._answers = Answers(instruments, max_frame=limits.max_frame_out)
        self._timers = timers
        self._unresolved: dict[str, list[_Unresolved]] = {}
        self._waiting: dict[Subscription, _Waiting] = {}
        self._stale_since: float | None = None
        self._live_streams: set[str] = set()
        self._ahead: set[Subscription] = set()

    # Requests

    def subscribe(self, subscriber: Subscriber, request: Subscribe) -> None:
        """Answer now, when the partitions are live, or after `Limits.live_timeout`."""
        key = resolve(request, self._streams, subscriber.identity)
        topology = self._topologies.get(key.channel.stream)
        if topology is None:
            self._wait_for_topology(subscriber, request, key.channel.stream)
            return
        if len(subscriber.subscriptions) >= self._limits.subscriptions_per_connection:
            raise ProtocolError(
                ErrorCode.LIMIT_EXCEEDED,
                f"{self._limits.subscriptions_per_connection} subscriptions are the most",
                request_id=request.id,
            )
        feed = self._feed_for(subscriber, key, topology, request.id)
        subscription = Subscription(subscriber, feed, request.channel)
        self._admit(subscriber, subscription)
        if _can_begin(feed, request):
            self._begin(subscription, request)
        else:
            timer = self._timers.call_later(
                self._limits.live_timeout, self._begin_late, subscription, request
            )
            self._waiting[subscription] = _Waiting(request, timer)
            if feed.is_live:
                self._ahead.add(subscription)

    def update(self, subscriber: Subscriber, request: UpdateSubscription) -> None:
        """Change rate or pause: the subscription leaves its feed and catches up, here or in another."""
        subscription = self._of(subscriber, request.sub, request.id)
        is_paused = request.paused
        if is_paused is None:
            is_paused = subscription.state is SubscriptionState.PAUSED
        offsets = self._leave(subscription)
        key = subscription.feed.key
        if request.interval_ms is not None:
            minimum = self._streams[key.channel.stream].min_interval_ms
            key = replace(key, interval_ms=grant_interval_ms(request.interval_ms, minimum))
        if key != subscription.feed.key:
            subscription = self._move(subscriber, subscription, key, request.id)
        feed = subscription.feed
        if is_paused:
            feed.detach(subscription, SubscriptionState.PAUSED, offsets)
            self._answers.paused(subscription, request.id, Position(feed.topology.epoch, offsets))
        else:
            caught = catch_up(feed, Position(feed.topology.epoch, offsets))
            self._answers.begun(subscription, request.id, caught)
            feed.join(subscription, dict(caught.end.offsets))

    def unsubscribe(self, subscriber: Subscriber, request: Unsubscribe) -> None:
        subscription = self._of(subscriber, request.sub, request.id)
        self._end(subscriber, subscription)
        reply = encode_unsubscribed(
            request.id, sub=request.sub, code="requested", reason="the client unsubscribed"
        )
        subscriber.write(text_frame(reply))

    def drop(self, subscriber: Subscriber) -> None:
        """The connection has ended, and all its subscriptions with it."""
        for subscription in list(subscriber.subscriptions.values()):
            self._end(subscriber, subscription)
        for stream, waiting in self._unresolved.items():
            for one in waiting:
                if one.subscriber is subscriber:
                    one.timer.cancel()
            self._unresolved[stream] = [u for u in waiting if u.subscriber is not subscriber]

    def drained(self, subscriber: Subscriber) -> None:
        """The socket has taken what was unsent: bring what lagged level again."""
        for subscription in list(subscriber.subscriptions.values()):
            if subscription.state is SubscriptionState.LAGGING:
                self._answers.status(subscription, FeedState.LAGGING, 0)
                self._continue(subscription)
                self._answers.status(subscription, FeedState.LIVE, 0)

    # What the reader tells

    def topology_learned(self, stream: str) -> None:
        for waiting in self._unresolved.pop(stream, ()):
            waiting.timer.cancel()
            try:
                self.subscribe(waiting.subscriber, waiting.request)
            except ProtocolError as fault:
                self._refuse(waiting.subscriber, fault)

    def partition_live(self, stream: str) -> None:
        """A partition has caught up; once for all that do in this turn of the loop."""
        if stream not in self._live_streams:
            self._live_streams.add(stream)
            self._timers.call_soon(self._answer_live, stream)

    def advanced(self) -> None:
        """More was read: answer those whose position another node had read further to."""
        for subscription in list(self._ahead):
            waiting = self._waiting.get(subscription)
            if waiting is None:
                self._ahead.discard(subscription)
            elif _can_begin(subscription.feed, waiting.request):
                self._begin_or_continue(subscription)

    def partition_reset(self, partition: TopicPartition) -> None:
        """A partition begins anew: its subscriptions wait with their positions until it is live."""
        for stream, topology in self._topologies.items():
            if topology.topic == partition.topic:
                for feed in self._index.of_stream(stream):
                    if partition.partition in feed.partitions:
                        self._interrupt(feed)

    def connected(self, is_connected: bool) -> None:
        """The broker answers, or does not any more: everybody is told."""
        self._stale_since = None if is_connected else self._timers.time()
        for feed in self._index:
            if not is_connected:
                self._tell_stale(feed.members())
            elif feed.is_live:
                self._tell_live(feed)

    # Steps

    def _answer_live(self, stream: str) -> None:
        """Answer those whose channel is complete now."""
        self._live_streams.discard(stream)
        for feed in self._index.of_stream(stream):
            if feed.is_live:
                for subscription in list(feed.detached):
                    if subscription.state is SubscriptionState.WAITING:
                        self._begin_or_continue(subscription)
                self._tell_live(feed)

    def _begin(self, subscription: Subscription, request: Subscribe) -> None:
        """The first answer to a subscription: what it starts from, and everything it lacks."""
        feed = subscription.feed
        if request.since is None:
            caught = start_fresh(feed, snapshot=request.snapshot)
        else:
            caught = catch_up(feed, request.since)
            self._instruments.resumed(caught.recovered)
        self._answers.begun(subscription, request.id, caught)
        feed.join(subscription, dict(caught.end.offsets))
        if self._stale_since is not None or not feed.is_live:
            self._tell_stale([subscription])

    def _begin_late(self, subscription: Subscription, request: Subscribe) -> None:
        """Time is up: begin with what the node holds, and say which partitions are not live."""
        del self._waiting[subscription]
        self._ahead.discard(subscription)
        self._begin(subscription, request)

    def _begin_or_continue(self, subscription: Subscription) -> None:
        waiting = self._waiting.get(subscription)
        if waiting is None:
            self._continue(subscription)
        elif _can_begin(subscription.feed, waiting.request):
            del self._waiting[subscription]
            self._ahead.discard(subscription)
            waiting.timer.cancel()
            self._begin(subscription, waiting.request)
        else:
            self._ahead.add(subscription)

    def _continue(self, subscription: Subscription) -> None:
        """Bring a detached subscription level, and attach it."""
        feed = subscription.feed
        caught = catch_up(feed, Position(feed.topology.epoch, subscription.offsets))
        self._answers.continued(subscription, caught)
        feed.join(subscription, dict(caught.end.offsets))

    def _interrupt(self, feed: Feed) -> None:
        for subscription in [*feed.attached, *feed.joining]:
            offsets = self._leave(subscription)
            feed.detach(subscription, SubscriptionState.WAITING, offsets)

    def _leave(self, subscription: Subscription) -> dict[int, int]:
        """Where a subscription stands once everything on its way to it is written."""
        self._fanout.settle(subscription)
        if subscription.is_attached:
            return dict(subscription.feed.sent)
        return subscription.offsets

    def _move(
        self,
        subscriber: Subscriber,
        subscription: Subscription,
        key: FeedKey,
        request_id: int | None,
    ) -> Subscription:
        """The same subscription in another feed, detached; the old number is done with."""
        feed = self._feed_for(subscriber, key, subscription.feed.topology, request_id)
        moved = Subscription(subscriber, feed, subscription.channel)
        moved.is_stale = subscription.is_stale
        self._end(subscriber, subscription)
        self._admit(subscriber, moved)
        return moved

    def _feed_for(
        self, subscriber: Subscriber, key: FeedKey, topology: Topology, request_id: int | None
    ) -> Feed:
        """The feed, made if need be; a connection has each feed once."""
        feed = self._index.find(key)
        if feed is None:
            if len(self._index) >= self._limits.feeds_per_node:
                raise ProtocolError(
                    ErrorCode.UNAVAILABLE,
                    "this node serves as many feeds as it may; try another",
                    request_id=request_id,
                    retry_after_ms=_RETRY_AFTER_MS,
                )
            feed = self._index.create(
                key, topology, channel_partitions(key.channel, topology.partitions)
            )
            self._demand.acquire(_topic_partitions(feed))
            self._on_demand()
            self._instruments.feeds.set(len(self._index))
        elif feed.sub in subscriber.subscriptions:
            raise ProtocolError(
                ErrorCode.ALREADY_SUBSCRIBED,
                f"sub {feed.sub} is this channel with this mode and interval",
                request_id=request_id,
            )
        return feed

    def _admit(self, subscriber: Subscriber, subscription: Subscription) -> None:
        subscriber.subscriptions[subscription.feed.sub] = subscription
        subscription.feed.admit(subscription)
        self._instruments.subscriptions.inc()

    def _end(self, subscriber: Subscriber, subscription: Subscription) -> None:
        feed = subscription.feed
        del subscriber.subscriptions[feed.sub]
        waiting = self._waiting.pop(subscription, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._ahead.discard(subscription)
        feed.drop(subscription)
        self._instruments.subscriptions.dec()
        if feed.is_unused:
            self._index.discard(feed)
            self._demand.release(_topic_partitions(feed), self._timers.time())
            self._instruments.feeds.set(len(self._index))

    def _of(self, subscriber: Subscriber, sub: int, request_id: int | None) -> Subscription:
        subscription = subscriber.subscriptions.get(sub)
        if subscription is None or subscription in self._waiting:
            raise ProtocolError(
                ErrorCode.BAD_REQUEST,
                f"this connection has no subscription {sub}",
                request_id=request_id,
            )
        return subscription

    def _wait_for_topology(self, subscriber: Subscriber, request: Subscribe, stream: str) -> None:
        waiting = self._unresolved.setdefault(stream, [])
        timer = self._timers.call_later(
            self._limits.live_timeout, self._give_up_topology, subscriber, request, stream
        )
        waiting.append(_Unresolved(subscriber, request, timer))

    def _give_up_topology(self, subscriber: Subscriber, request: Subscribe, stream: str) -> None:
        self._unresolved[stream] = [u for u in self._unresolved[stream] if u.request is not request]
        self._refuse(
            subscriber,
            ProtocolError(
                ErrorCode.UNAVAILABLE,
                f"the topic of stream {stream} cannot be reached",
                request_id=request.id,
                retry_after_ms=_RETRY_AFTER_MS,
            ),
        )

    def _refuse(self, subscriber: Subscriber, fault: ProtocolError) -> None:
        self._instruments.error(fault.code)
        subscriber.write(text_frame(encode_error(fault)))

    def _tell_stale(self, subscriptions: Iterable[Subscription]) -> None:
        since = self._stale_since
        age = 0.0 if since is None else self._timers.time() - since
        for subscription in subscriptions:
            if subscription not in self._waiting:
                subscription.is_stale = True
                self._answers.status(subscription, FeedState.STALE, age)

    def _tell_live(self, feed: Feed) -> None:
        if self._stale_since is None:
            for subscription in feed.members():
                if subscription.is_stale:
                    subscription.is_stale = False
                    self._answers.status(subscription, FeedState.LIVE, 0)


def _can_begin(feed: Feed, request: Subscribe) -> bool:
    """Whether the channel is complete here, up to where the client stands.

    Nodes read at their own pace: a position that another node handed out may lie ahead of this one for
    a moment, and that is no truncated topic.
    """
    return feed.is_live and (request.since is None or not feed.is_behind(request.since))


def _topic_partitions(feed: Feed) -> list[TopicPartition]:
    return [TopicPartition(feed.topology.topic, p) for p in feed.partitions]
