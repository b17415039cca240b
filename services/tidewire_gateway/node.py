"""A gateway node: what its connections share, and the tasks that keep it going."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidewire.config.streams import Stream
from tidewire.identity.errors import InvalidTokenError
from tidewire.identity.tokens import Identity, TokenVerifier
from tidewire.kafka.ports import RecordReader, TopicAdmin

from .core.decoding import Decoder
from .core.demand import Demand
from .core.feed_index import FeedIndex
from .core.history import History
from .core.limits import Limits
from .delivery import Delivery
from .fanout import Fanout
from .ingest import Ingest
from .instruments import Instruments
from .membership import Membership
from .reader import PartitionReader
from .topologies import Topologies

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Node"]

_EVENT_ENVELOPE = 4096
"""Room that a frame keeps beside its largest event."""
_LAG_INTERVAL = 0.5


class Node:
    """Built inside the event loop; `run` keeps it going until cancelled."""

    def __init__(
        self,
        name: str,
        streams: Mapping[str, Stream],
        *,
        reader: RecordReader,
        admin: TopicAdmin,
        verifier: TokenVerifier | None,
        limits: Limits,
        history: History,
        linger: float,
        instruments: Instruments,
    ) -> None:
        self.name = name
        self.limits = limits
        self.instruments = instruments
        self.connections: set[Connection] = set()
        self._verifier = verifier
        self._loop = asyncio.get_running_loop()
        self._streams = streams
        index = FeedIndex(max_window_bytes=limits.max_frame_out)
        demand = Demand(linger)
        demand_changed = asyncio.Event()
        fanout = Fanout(self._loop, instruments, max_frame=limits.max_frame_out)
        self._topologies = Topologies(streams, admin, on_learned=self._learned)
        members = Membership(
            index, demand, instruments, limits, timers=self._loop, on_demand=demand_changed.set
        )
        self.delivery = Delivery(
            streams,
            self._topologies.by_stream,
            timers=self._loop,
            index=index,
            members=members,
            fanout=fanout,
            instruments=instruments,
            limits=limits,
        )
        self._ingest = Ingest(
            index,
            fanout,
            instruments,
            history,
            timers=self._loop,
            on_live=self.delivery.partition_live,
            on_advanced=self.delivery.advanced,
        )
        self._reader = PartitionReader(
            reader,
            demand,
            self._ingest,
            self.delivery,
            instruments=instruments,
            log_window=history.log_window_ms / 1000,
            demand_changed=demand_changed,
        )

    async def run(self) -> None:
        """Read, watch topics and the loop's lag; a task that fails ends the node."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run())
            tasks.create_task(self._topologies.watch())
            tasks.create_task(self._watch_loop())

    def verify(self, token: str) -> Identity:
        """Whom a token speaks for; raises ``IdentityError``."""
        if self._verifier is None:
            raise InvalidTokenError(
                "this node has no key to check tokens with; connect without one"
            )
        return self._verifier.verify(token)

    def opened(self, connection: "Connection") -> None:
        self.connections.add(connection)
        self.instruments.connections.set(len(self.connections))

    def closed(self, connection: "Connection", code: int) -> None:
        self.connections.discard(connection)
        self.delivery.drop(connection)
        self.instruments.connections.set(len(self.connections))
        self.instruments.closed(code)

    def _learned(self, stream: str) -> None:
        topology = self._topologies.by_stream[stream]
        decoder = Decoder(self._streams[stream], self.limits.max_frame_out - _EVENT_ENVELOPE)
        self._ingest.add_stream(stream, topology, decoder)
        self.delivery.topology_learned(stream)

    async def _watch_loop(self) -> None:
        """How late the loop is, by a timer that does nothing else."""
        while True:
            expected = self._loop.time() + _LAG_INTERVAL
            await asyncio.sleep(_LAG_INTERVAL)
            self.instruments.loop_lag.set(max(0.0, self._loop.time() - expected))
