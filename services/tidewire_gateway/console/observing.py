"""How a node is, read off its parts and its metrics without holding up the loop."""

import asyncio
import time
from collections import Counter
from itertools import islice
from typing import Final

from tidewire.config.streams import is_reserved
from tidewire.protocol.codes import Recovered
from tidewire.system.rates import BucketGrowth, Rates
from tidewire.system.readings import bucket_counts, totals_of, value_of
from tidewire.system.records import Observation, State

from ..core.feeds import Feed, count_by_state
from ..core.recovery import Source
from ..node import Node
from .figures import Lease, Readings, gateway_figures
from .survey import FeedSurvey, SlowSurvey

__all__ = ["NodeObserver"]

_SLICE: Final = 500
"""Feeds or connections looked at before the loop may do something else: below 1 ms, though all of them were slow."""
_RATES: Final = {
    "consumed": "events_consumed_total",
    "delivered": "events_delivered_total",
    "frames": "frames_delivered_total",
    "bytes": "bytes_delivered_total",
    "coalesced": "events_coalesced_total",
}


class NodeObserver:
    """`observe` for a node's records; each look tells what was since the one before.

    Feeds of the system's own streams are operators' alone: the surveys leave them out.
    """

    def __init__(self, node: Node) -> None:
        metrics = node.instruments.metrics
        self._node = node
        self._tallies = {name: metrics.tally(metric) for name, metric in _RATES.items()}
        self._rates = Rates(time.monotonic())
        self._freshness = metrics.histogram("freshness_seconds")
        self._growth = BucketGrowth()
        self._totals = {
            "handshakes": metrics.counters("handshakes_total", "outcome"),
            "errors": metrics.counters("errors_total", "code"),
            "closes": metrics.counters("closes_total", "code"),
        }
        self._resumes = {
            outcome.value: [
                metrics.counter("resumes_total", outcome=outcome, source=source)
                for source in Source
            ]
            for outcome in Recovered
            if outcome is not Recovered.NONE
        }
        self._feeds = FeedSurvey()
        self._slow = SlowSurvey()
        self._feed_count = 0
        self._subscriptions = Counter(count_by_state(()))

    async def observe(self) -> Observation:
        await self._look_over()
        return Observation(_state(self._node), gateway_figures(self._readings()))

    async def _look_over(self) -> None:
        """In slices of what there is now: what comes meanwhile has its turn the next time."""
        feeds = iter(list(self._node.feeds))
        count, by_state = 0, Counter(count_by_state(()))
        while part := list(islice(feeds, _SLICE)):
            of_clients = [feed for feed in part if _is_of_clients(feed)]
            self._feeds.add(of_clients)
            count += len(of_clients)
            by_state.update(count_by_state(of_clients))
            await asyncio.sleep(0)
        self._feed_count, self._subscriptions = count, by_state
        connections = iter(list(self._node.connections))
        now = asyncio.get_running_loop().time()
        while part_of := list(islice(connections, _SLICE)):
            self._slow.add(part_of, now)
            await asyncio.sleep(0)

    def _readings(self) -> Readings:
        node, instruments = self._node, self._node.instruments
        bounds, counts = bucket_counts(self._freshness)
        totals = {name: totals_of(children) for name, children in self._totals.items()}
        targeted = node.targeted
        return Readings(
            open=len(node.connections),
            congested=int(value_of(instruments.connections_congested)),
            handshaking=node.handshakes,
            subscriptions=dict(self._subscriptions),
            feeds=self._feed_count,
            partitions=int(value_of(instruments.partitions)),
            lag_records=int(value_of(instruments.lag)),
            lag_seconds=value_of(instruments.lag_time),
            rates=self._rates.look(
                {name: tally.value for name, tally in self._tallies.items()}, time.monotonic()
            ),
            freshness_bounds=bounds,
            freshness=self._growth.look(counts),
            top_feeds=self._feeds.take(),
            slow=self._slow.take(asyncio.get_running_loop().time()),
            resumes={
                outcome: sum(int(value_of(child)) for child in children)
                for outcome, children in self._resumes.items()
            },
            handshakes=totals["handshakes"],
            errors=totals["errors"],
            closes=totals["closes"],
            lease=None if targeted is None else Lease(targeted.slot is not None, targeted.slot),
            users=0 if targeted is None else targeted.known,
        )


def _is_of_clients(feed: Feed) -> bool:
    return not is_reserved(feed.key.channel.stream)


def _state(node: Node) -> State:
    if node.is_draining:
        return State.DRAINING
    return State.READY if node.overload() is None else State.OVERLOADED
