"""A gateway node: what its connections share, and the tasks that keep it going."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tidewire.config.streams import Stream, is_reserved
from tidewire.http.token_check import Verification
from tidewire.identity.errors import InvalidTokenError
from tidewire.identity.tokens import Identity, TokenVerifier
from tidewire.kafka.ports import RecordReader, TopicAdmin
from tidewire.protocol.frames import Subscribe
from tidewire.revocation.reading import RevocationReader

from .backfills import Backfills
from .core.admission import Admission, Load, Overload, Refused, overload_of
from .core.decoding import Decoder
from .core.demand import Demand
from .core.draining import DrainStage
from .core.feed_index import FeedIndex
from .core.history import History
from .core.limits import Limit, Limits
from .core.patience import Patience
from .delivery import Delivery
from .fanout import Fanout
from .host import Performer, Request
from .ingest import Ingest
from .instruments import Instruments
from .known_tokens import KnownTokens
from .membership import Membership
from .one_off import OneOffReads
from .reader import PartitionReader
from .revoking import Revoking
from .sweep import Sweep
from .targeted.mail import CHANNEL
from .targeted.service import Targeted, TargetedParts
from .topologies import TopicChange, Topologies
from .traces import EventTraces
from .vitals import Vitals

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Node"]

_EVENT_ENVELOPE = 4096
"""Room that a frame keeps beside its largest event."""


class Node:
    """Built inside the event loop; `run` keeps it going until cancelled."""

    def __init__(
        self,
        name: str,
        streams: Mapping[str, Stream],
        *,
        make_reader: Callable[[], RecordReader],
        admin: TopicAdmin,
        verifier: TokenVerifier | None,
        limits: Limits,
        history: History,
        linger: float,
        topic_poll_interval: float,
        instruments: Instruments,
        targeted: TargetedParts | None = None,
        traces: EventTraces | None = None,
        revocations: RevocationReader | None = None,
    ) -> None:
        self.name = name
        self._traces = traces
        self.limits = limits
        self.instruments = instruments
        self.connections: set[Connection] = set()
        self.closes: Counter[int] = Counter()
        self.drain_stage = DrainStage.SERVING
        self.sweep = Sweep(self.connections, instruments)
        self._unwelcomed: set[Connection] = set()
        self._vitals = Vitals(instruments)
        self._verification: Verification | None = None
        if verifier is not None:
            known = KnownTokens(verifier)
            self._verification = Verification(known.verify, revocations, instruments.refused_tokens)
        self._revoking: Revoking | None = None
        if revocations is not None:
            self._revoking = Revoking(revocations, self.connections, instruments)
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(limits, self._loop.time())
        self._streams = streams
        self.feeds = index = FeedIndex(max_window_bytes=limits.max_frame_out // 2)
        self._demand = demand = Demand(linger)
        demand_changed = asyncio.Event()
        fanout = Fanout(self._loop, instruments, max_frame=limits.max_frame_out, traces=traces)
        self._topologies = Topologies(
            streams,
            admin,
            poll_interval=topic_poll_interval,
            on_learned=self._learned,
            on_changed=self._topic_changed,
        )
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
            want_past=lambda partition, offset: self._backfills.want(partition, offset),
            instruments=instruments,
            limits=limits,
        )
        self.one_off = OneOffReads(
            streams,
            self._topologies.by_stream,
            demand,
            limits,
            timers=self._loop,
            on_demand=demand_changed.set,
            stale_since=lambda: self.delivery.stale_since,
        )
        self._ingest = Ingest(
            index,
            fanout,
            instruments,
            history,
            timers=self._loop,
            on_live=self._partition_live,
            on_advanced=self.delivery.advanced,
        )
        self._backfills = Backfills(
            make_reader,
            ingest=self._ingest,
            on_read=self.delivery.backfilled,
            instruments=instruments,
        )
        self._reader = PartitionReader(
            make_reader(),
            demand,
            self._ingest,
            self.delivery,
            instruments=instruments,
            log_window=history.log_window_ms / 1000,
            demand_changed=demand_changed,
            look_at_topics=self._topologies.look,
            patience=Patience(index.shortest_interval),
        )
        self.targeted: Targeted | None = None
        if targeted is not None:
            self.targeted = Targeted(
                targeted,
                name,
                admin=admin,
                poll_interval=topic_poll_interval,
                new_sub=index.new_sub,
                load=lambda: {
                    "connections": len(self.connections),
                    "partitions": self._reader.partitions,
                },
                is_draining=lambda: self.is_draining,
                limits=limits,
                instruments=instruments,
                traces=traces,
            )

    async def run(self) -> None:
        """Read, watch topics and the loop's lag; a task that fails ends the node."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reader.run())
            tasks.create_task(self._backfills.run())
            tasks.create_task(self._topologies.watch())
            tasks.create_task(self._vitals.watch(self.delivery.count_subscriptions))
            tasks.create_task(self.sweep.run())
            if self.targeted is not None:
                tasks.create_task(self.targeted.run())
            if self._revoking is not None:
                tasks.create_task(self._revoking.run())

    @property
    def handshakes(self) -> int:
        """Connections that have had no `welcome` yet."""
        return len(self._unwelcomed)

    @property
    def is_draining(self) -> bool:
        """Whether the node is about to end: nobody should be sent here any more."""
        return self.drain_stage is not DrainStage.SERVING

    def identify(self, token: str | None) -> Identity | None:
        """Whom a connection speaks for, None an anonymous one; raises ``IdentityError``."""
        return None if token is None else self.verify(token)

    def verify(self, token: str) -> Identity:
        """Whom a token speaks for; raises ``IdentityError``, as `TokenVerifier.verify` does."""
        if self._verification is None:
            raise InvalidTokenError(
                "this node has no key to check tokens with; connect without one"
            )
        return self._verification.verify(token)

    def overload(self) -> Overload | None:
        """Why nobody new is accepted; None where somebody is."""
        load = Load(
            connections=len(self.connections),
            handshakes=self.handshakes,
            loop_lag=self._vitals.loop_lag,
            memory=self._vitals.memory,
            is_moving=self.drain_stage is DrainStage.MOVING,
        )
        return overload_of(load, self.limits)

    def refuse(self, address: str) -> Refused | None:
        """Why a handshake from this address is refused now, though there is room; None where it may come in."""
        refused = self._admission.refuse(address, self._loop.time())
        if refused is not None and isinstance(refused.reason, Limit):
            self.instruments.limited(refused.reason)
        return refused

    def turn(self) -> float:
        """After how many seconds one should come back for whom the node is too busy now."""
        return self._admission.turn(self._loop.time())

    def claim(self, connection: "Connection", user: str) -> bool:
        """Count the connection as this user's; False where those are as many as they may be."""
        if connection.user is not None:  # which never becomes another one
            return True
        if not self._admission.claim(user):
            self.instruments.limited(Limit.USER_CONNECTIONS)
            return False
        connection.user = user
        return True

    def opened(self, connection: "Connection") -> None:
        self.connections.add(connection)
        self._admission.addresses.opened(connection.address)
        self._unwelcomed.add(connection)
        self.instruments.connections.set(len(self.connections))

    def welcomed(self, connection: "Connection", device: str | None) -> None:
        self._unwelcomed.discard(connection)
        self.instruments.handshake("accepted")
        if self.targeted is not None:
            self.targeted.welcomed(connection, device)

    def closed(self, connection: "Connection", code: int) -> None:
        self.connections.discard(connection)
        self.sweep.discard(connection)
        self._unwelcomed.discard(connection)
        self._admission.addresses.closed(connection.address, self._loop.time())
        if connection.user is not None:
            self._admission.release(connection.user)
        self.closes[code] += 1
        self.drop(connection)
        self.instruments.connections.set(len(self.connections))
        self.instruments.closed(code)

    def performer(self, connection: "Connection", request: Request) -> Performer:
        """Who carries a request out: the streams' delivery, or that of `@me`."""
        if self.targeted is None:
            return self.delivery
        if isinstance(request, Subscribe):
            is_personal = request.channel == CHANNEL
        else:
            is_personal = connection.mail is not None and connection.mail.sub == request.sub
        return self.targeted.mail if is_personal else self.delivery

    def drained(self, connection: "Connection") -> None:
        """The socket has taken what was unsent."""
        self.delivery.drained(connection)
        if self.targeted is not None:
            self.targeted.mail.drained(connection)

    def rights_changed(self, connection: "Connection") -> None:
        """The connection has other credentials."""
        self.delivery.rights_changed(connection)
        if self.targeted is not None:
            self.targeted.rights_changed(connection)

    def drop(self, connection: "Connection") -> None:
        """Nothing more is written to a connection; it may be told more than once."""
        self.delivery.drop(connection)
        if self.targeted is not None:
            self.targeted.closed(connection)

    def _learned(self, stream: str) -> None:
        topology = self._topologies.by_stream[stream]
        decoder = Decoder(self._streams[stream], self.limits.max_frame_out - _EVENT_ENVELOPE)
        traces = None if is_reserved(stream) else self._traces  # those tell of traces themselves
        self._ingest.add_stream(stream, topology, decoder, traces)
        self.delivery.topology_learned(stream)
        self.one_off.changed(stream)

    def _topic_changed(self, change: TopicChange) -> None:
        """Everybody waits where it stands until the topic as it is now has been read."""
        topology = self._topologies.by_stream[change.stream]
        self.instruments.topic_changed("recreated" if change.is_recreated else "repartitioned")

        def carry_out() -> None:
            change.carry_out()
            if change.is_recreated:
                self._ingest.forget(change.stream)
                self._reader.restart(topology.topic)

        self.delivery.topic_changed(change.stream, carry_out)
        self._demand.shrink(topology.topic, topology.partitions)
        self.one_off.changed(change.stream)

    def _partition_live(self, stream: str) -> None:
        self.delivery.partition_live(stream)
        self.one_off.changed(stream)
