"""Which subscriptions there are: feeds made and let go, and with them the partitions that are wanted."""

from collections.abc import Callable
from typing import Protocol

from tidewire.identity.tokens import Identity
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError

from .core.demand import Demand
from .core.feed_index import FeedIndex
from .core.feeds import Feed, FeedKey, Topology
from .core.limits import Limit, LimitError, Limits
from .core.resolving import channel_partitions
from .core.subscriptions import Receiver, Subscription
from .instruments import Instruments
from .timers import Timers

__all__ = ["RETRY_AFTER_MS", "Membership", "Subscriber", "topic_partitions"]

RETRY_AFTER_MS = 1000


class Subscriber(Receiver, Protocol):
    """A connection that asks for subscriptions; ``subscriptions`` by the number of their feed."""

    identity: Identity | None
    subscriptions: dict[int, Subscription]


class Membership:
    """Admits subscriptions to feeds within the node's limits.

    ``on_demand`` is called when a feed has been made that may need further partitions.
    """

    def __init__(
        self,
        index: FeedIndex,
        demand: Demand,
        instruments: Instruments,
        limits: Limits,
        *,
        timers: Timers,
        on_demand: Callable[[], None],
    ) -> None:
        self._index = index
        self._demand = demand
        self._instruments = instruments
        self._limits = limits
        self._timers = timers
        self._on_demand = on_demand

    def admit(
        self,
        subscriber: Subscriber,
        key: FeedKey,
        topology: Topology,
        *,
        channel: str,
        request_id: int | None,
    ) -> Subscription:
        """A new subscription, detached; ``channel`` is its name as the client gave it.

        Raises ``ProtocolError``: ``limit_exceeded``, ``already_subscribed``, ``unavailable``.
        """
        if len(subscriber.subscriptions) >= self._limits.subscriptions_per_connection:
            raise LimitError(
                Limit.SUBSCRIPTIONS,
                ErrorCode.LIMIT_EXCEEDED,
                f"{self._limits.subscriptions_per_connection} subscriptions are the most",
                request_id=request_id,
            )
        return self._join(
            subscriber, self._feed_for(subscriber, key, topology, request_id), channel
        )

    def move(
        self,
        subscriber: Subscriber,
        subscription: Subscription,
        key: FeedKey,
        request_id: int | None,
    ) -> Subscription:
        """The same subscription in another feed, detached; the old number is done with."""
        feed = self._feed_for(subscriber, key, subscription.feed.topology, request_id)
        moved = self._join(subscriber, feed, subscription.channel)
        moved.owes_snapshot = subscription.owes_snapshot
        self.end(subscriber, subscription)
        return moved

    def end(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """The subscription is over; the last one takes its feed along."""
        feed = subscription.feed
        del subscriber.subscriptions[feed.sub]
        feed.drop(subscription)
        self._instruments.subscriptions.dec()
        if feed.is_unused:
            self._index.discard(feed)
            self._demand.release(topic_partitions(feed), self._timers.time())
            self._instruments.feeds.set(len(self._index))

    def retarget(self, feed: Feed) -> None:
        """The feed's topology has changed: it wants the partitions that its channel has now."""
        before = topic_partitions(feed)
        feed.retarget(channel_partitions(feed.key.channel, feed.topology))
        self._demand.acquire(topic_partitions(feed))
        self._demand.release(before, self._timers.time())
        self._on_demand()

    def _join(self, subscriber: Subscriber, feed: Feed, channel: str) -> Subscription:
        subscription = Subscription(subscriber, feed, channel)
        subscriber.subscriptions[feed.sub] = subscription
        feed.admit(subscription)
        self._instruments.subscriptions.inc()
        return subscription

    def _feed_for(
        self, subscriber: Subscriber, key: FeedKey, topology: Topology, request_id: int | None
    ) -> Feed:
        """The feed, made if need be; a connection has each feed once."""
        feed = self._index.find(key)
        if feed is None:
            return self._make_feed(key, topology, request_id)
        if feed.sub in subscriber.subscriptions:
            raise ProtocolError(
                ErrorCode.ALREADY_SUBSCRIBED,
                f"sub {feed.sub} is this channel with this mode and interval",
                request_id=request_id,
            )
        return feed

    def _make_feed(self, key: FeedKey, topology: Topology, request_id: int | None) -> Feed:
        if len(self._index) >= self._limits.feeds_per_node:
            raise LimitError(
                Limit.FEEDS,
                ErrorCode.UNAVAILABLE,
                "this node serves as many feeds as it may; try another",
                request_id=request_id,
                retry_after_ms=RETRY_AFTER_MS,
            )
        partitions = channel_partitions(key.channel, topology)
        feed = self._index.create(key, topology, partitions)
        self._demand.acquire(topic_partitions(feed))
        self._on_demand()
        self._instruments.feeds.set(len(self._index))
        return feed


def topic_partitions(feed: Feed) -> list[TopicPartition]:
    return [TopicPartition(feed.topology.topic, p) for p in feed.partitions]
