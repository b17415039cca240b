"""A look over a node's feeds and connections, a slice at a time (pure): the feeds with most subscribers, the slowest connections."""

import heapq
from collections.abc import Iterable
from itertools import count
from typing import Any, Final, Protocol

from tidewire.identity.tokens import Identity

from ..core.feeds import Feed
from ..core.subscriptions import Subscription, SubscriptionState

__all__ = ["FeedSurvey", "SlowClient", "SlowSurvey"]

_MOST: Final = 20


class FeedSurvey:
    """The feeds with most subscribers, and what became of their events since the survey before."""

    def __init__(self) -> None:
        self._largest: list[tuple[int, int, Feed]] = []
        self._order = count()
        self._seen: dict[int, tuple[int, int]] = {}

    def add(self, feeds: Iterable[Feed]) -> None:
        largest = self._largest
        for feed in feeds:
            members = len(feed.attached) + len(feed.joining) + len(feed.detached)
            if len(largest) < _MOST:
                heapq.heappush(largest, (members, -next(self._order), feed))
            elif members > largest[0][0]:
                heapq.heapreplace(largest, (members, -next(self._order), feed))

    def take(self) -> list[dict[str, Any]]:
        """What was found, most subscribers first; the next survey begins. One that was not among them before has had no events yet."""
        found = sorted(self._largest, reverse=True)
        told = [self._told(feed, members) for members, _, feed in found]
        self._seen = {feed.sub: (feed.carried, feed.coalesced) for _, _, feed in found}
        self._largest = []
        self._order = count()
        return told

    def _told(self, feed: Feed, subscribers: int) -> dict[str, Any]:
        carried, coalesced = self._seen.get(feed.sub, (feed.carried, feed.coalesced))
        return {
            "channel": str(feed.key.channel),
            "mode": feed.key.mode.value,
            "interval_ms": feed.key.interval_ms,
            "subscribers": subscribers,
            "events": feed.carried - carried,
            "coalesced": feed.coalesced - coalesced,
        }


class _Gauge(Protocol):
    def buffered(self) -> int: ...


class SlowClient(Protocol):
    """A connection, as this sees it."""

    id: str
    identity: Identity | None
    is_congested: bool
    subscriptions: dict[int, Subscription]

    @property
    def pressure(self) -> _Gauge: ...


class SlowSurvey:
    """The connections that are behind longest. One is behind since its feeds noticed, or since a survey first saw it so."""

    def __init__(self) -> None:
        self._before: dict[SlowClient, float] = {}
        self._behind: dict[SlowClient, float] = {}
        self._slowest: list[tuple[float, int, SlowClient]] = []  # the least slow of them first
        self._order = count()

    def add(self, connections: Iterable[SlowClient], now: float) -> None:
        """``now``: the loop's time, as that of subscriptions."""
        for connection in connections:
            if connection.is_congested:
                seen_at = self._before.get(connection, now)
                self._note(connection, min(seen_at, _noticed_at(connection, now)))

    def take(self, now: float) -> list[dict[str, Any]]:
        """What was found, the slowest first; the next survey begins."""
        found = sorted(self._slowest, reverse=True)
        self._before, self._behind, self._slowest = self._behind, {}, []
        return [
            {
                "connection": connection.id,
                "user": None if connection.identity is None else connection.identity.user,
                "behind_s": round(now + negated, 3),
                "queued_bytes": connection.pressure.buffered(),
            }
            for negated, _, connection in found
        ]

    def _note(self, connection: SlowClient, since: float) -> None:
        self._behind[connection] = since
        entry = (-since, -next(self._order), connection)
        if len(self._slowest) < _MOST:
            heapq.heappush(self._slowest, entry)
        elif entry > self._slowest[0]:
            heapq.heapreplace(self._slowest, entry)


def _noticed_at(connection: SlowClient, now: float) -> float:
    since = now
    for subscription in connection.subscriptions.values():
        if subscription.state is SubscriptionState.LAGGING:
            since = min(since, subscription.behind_since)
    return since
