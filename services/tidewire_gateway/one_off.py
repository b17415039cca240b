"""Channels read once: their partitions are held until they have caught up, then a snapshot is taken."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tidewire.config.streams import Stream
from tidewire.http.problems import ProblemError
from tidewire.identity.tokens import Identity
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.channels import Channel
from tidewire.protocol.errors import ProtocolError

from .core.demand import Demand
from .core.feeds import Topology
from .core.limits import Limits
from .core.one_off import ChannelSnapshot, is_live, resolve_channel, take_snapshot
from .core.one_off_problems import overloaded, refused, unreadable
from .core.resolving import channel_partitions, check_channel
from .timers import Timers

__all__ = ["OneOffReads"]


class OneOffReads:
    """Reads for clients without a connection; their partitions linger as those of a subscription do.

    ``on_demand`` is called when partitions are wanted, ``stale_since`` says since when (loop time) the broker
    has not answered, None where it does.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        topologies: Mapping[str, Topology],
        demand: Demand,
        limits: Limits,
        *,
        timers: Timers,
        on_demand: Callable[[], None],
        stale_since: Callable[[], float | None],
    ) -> None:
        self._streams = streams
        self._topologies = topologies
        self._demand = demand
        self._limits = limits
        self._timers = timers
        self._on_demand = on_demand
        self._stale_since = stale_since
        self._changes: dict[str, asyncio.Event] = {}
        self._in_work = 0

    @property
    def stall_timeout(self) -> float:
        """Seconds that a client may leave a part of its answer untaken."""
        return self._limits.stall_timeout

    @property
    def stale_age(self) -> float | None:
        """Seconds since the broker answered last; None while it does."""
        since = self._stale_since()
        return None if since is None else self._timers.time() - since

    def changed(self, stream: str) -> None:
        """The stream's topic has become known, or a partition of it has caught up."""
        change = self._changes.pop(stream, None)
        if change is not None:
            change.set()

    def resolve(self, name: str, identity: Identity | None) -> Channel:
        """The channel of this name; raises ``ProblemError`` (400, 401, 403, 404)."""
        try:
            check_channel(name, self._limits)
            return resolve_channel(name, self._streams, identity)
        except ProtocolError as fault:
            raise ProblemError(refused(fault, name, identity)) from None

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the node's reads at once; raises ``ProblemError`` (503) where all are taken."""
        if self._in_work >= self._limits.max_one_off_reads:
            raise ProblemError(overloaded(self._in_work))
        self._in_work += 1
        try:
            yield
        finally:
            self._in_work -= 1

    async def snapshot(self, name: str, channel: Channel) -> ChannelSnapshot:
        """What is held of the channel once its partitions have caught up.

        Raises ``ProblemError`` (503) where they have not within `Limits.live_timeout`.
        """
        try:
            async with asyncio.timeout(self._limits.live_timeout):
                return await self._when_live(name, channel)
        except TimeoutError:
            raise ProblemError(unreadable(name, self._limits.live_timeout)) from None

    async def _when_live(self, name: str, channel: Channel) -> ChannelSnapshot:
        while True:
            change = self._changes.setdefault(channel.stream, asyncio.Event())
            topology = self._topologies.get(channel.stream)
            if topology is None:
                await change.wait()
                continue
            with self._held(topology, channel):
                if is_live(topology, channel):
                    return take_snapshot(name, channel, topology)
                await change.wait()

    @contextmanager
    def _held(self, topology: Topology, channel: Channel) -> Iterator[None]:
        """See to it that the channel's partitions are read."""
        partitions = [
            TopicPartition(topology.topic, p) for p in channel_partitions(channel, topology)
        ]
        self._demand.acquire(partitions)
        self._on_demand()
        try:
            yield
        finally:
            self._demand.release(partitions, self._timers.time())
