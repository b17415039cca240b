"""What makes a node part of targeted delivery, put together."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidewire.config.streams import Stream
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.ports import RecordReader, TopicAdmin
from tidewire.protocol.codes import CloseCode
from tidewire.targeting.mailboxes import Mailboxes
from tidewire.targeting.registry import (
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Registry,
    Session,
)

from ..core.feeds import Topology
from ..core.lease_clock import LeaseClock
from ..core.limits import Limits
from ..instruments import Instruments
from ..topologies import TopicChange, Topologies
from ..traces import EventTraces
from ..traces import Push as PushSpan
from .announcer import Announcer
from .inbox import Inbox
from .letters import sampled_push
from .mail import Mail, UserTopic
from .push import Push, PushOutcome
from .registration import Registration

if TYPE_CHECKING:
    from ..connection import Connection

__all__ = ["Targeted", "TargetedParts"]

_STREAM = "@me"


@dataclass(frozen=True, slots=True)
class TargetedParts:
    """What targeted delivery uses of the world. ``address``: URL of the node's internal port.

    ``second_look``: seconds after which no router can remember any more where a user was.
    """

    registry: Registry
    reader: RecordReader
    mailboxes_of: Callable[[str], Mailboxes]
    address: str
    targeted_topic: str
    inbox_topic: str
    epoch: str
    second_look: float
    zone: str | None
    close: Callable[[], Awaitable[None]]


class Targeted:
    """Built inside the event loop; `run` keeps it going until cancelled. ``traces`` are told of what is sampled."""

    def __init__(
        self,
        parts: TargetedParts,
        node: str,
        *,
        admin: TopicAdmin,
        poll_interval: float,
        new_sub: Callable[[], int],
        load: Callable[[], Mapping[str, float]],
        is_draining: Callable[[], bool],
        limits: Limits,
        instruments: Instruments,
        traces: EventTraces | None = None,
    ) -> None:
        self._traces = traces
        self._parts = parts
        self._node = node
        self._load = load
        self._is_draining = is_draining
        self._connections: dict[str, Connection] = {}
        self._clock = LeaseClock()
        self._loop = asyncio.get_running_loop()
        self._announcer = Announcer(
            parts.registry,
            node,
            clock=self._clock,
            on_known=self._known,
            on_evicted=self._evicted,
            on_lease_lost=lambda: self._registration.lost(),
            instruments=instruments,
        )
        self.mail = Mail(
            parts.mailboxes_of,
            loop=self._loop,
            new_sub=new_sub,
            is_known=self._announcer.is_known,
            second_look=parts.second_look,
            limits=limits,
            instruments=instruments,
            traces=traces,
        )
        self._inbox = Inbox(
            parts.reader,
            parts.inbox_topic,
            clock=self._clock,
            deliver=self.mail.deliver,
            on_hole=self.mail.look,
            instruments=instruments,
            traces=traces,
        )
        self._registration = Registration(
            parts.registry,
            self._announcement,
            clock=self._clock,
            on_granted=self._granted,
            on_lost=self._lost,
            instruments=instruments,
        )
        self._topologies = Topologies(
            {_STREAM: Stream(topic=parts.targeted_topic, epoch=parts.epoch, group="key")},
            admin,
            poll_interval=poll_interval,
            on_learned=lambda _: self._topic_learned(),
            on_changed=self._topic_changed,
            declares_partitions=False,
        )

    @property
    def slot(self) -> int | None:
        """The inbox slot that the node holds now."""
        lease = self._clock.lease
        return None if lease is None or not self._clock.is_held(self._loop.time()) else lease.slot

    @property
    def known(self) -> int:
        """Connections that the registry has: whose users are found here."""
        return self._announcer.known

    async def run(self) -> None:
        """Until cancelled; gives the slot back then, and closes what it was given."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._topologies.watch())
                tasks.create_task(self.mail.run())
                tasks.create_task(self._inbox.run())
                tasks.create_task(self._announcer.run())
                tasks.create_task(self._registration.run())
        finally:
            await self._parts.close()

    def welcomed(self, connection: "Connection", device: str | None) -> None:
        """A connection has said hello: it is announced if it is a user's."""
        identity = connection.identity
        if identity is not None:
            self._connections[connection.id] = connection
            since_ms = int(time.time() * 1000)
            self._announcer.connected(Session(identity.user, connection.id, since_ms, device))

    def rights_changed(self, connection: "Connection") -> None:
        """The connection has another token: one of its user, or the first of a connection that was nobody's."""
        if connection.id not in self._connections:
            self.welcomed(connection, None)

    def closed(self, connection: "Connection") -> None:
        """The connection is about to end, or has; may be told more than once."""
        self.mail.drop(connection)
        self._forget(connection)

    def _forget(self, connection: "Connection") -> None:
        if self._connections.pop(connection.id, None) is not None:
            self._announcer.disconnected(connection.id)

    def close_user(self, user: str) -> int:
        """An operator's wish; returns how many connections it concerned."""
        found = [c for c in self._connections.values() if c.identity and c.identity.user == user]
        for connection in found:
            connection.close(CloseCode.FORCED, "disconnected by an operator")
        return len(found)

    def close_connections(self, connections: Iterable[str]) -> int:
        """Those of a user that are too many, by the registry's count."""
        found = [self._connections[c] for c in connections if c in self._connections]
        for connection in found:
            connection.close(
                CloseCode.CONNECTION_LIMIT, "this user has as many connections as it may have"
            )
        return len(found)

    def push(self, epoch: str, push: Push) -> Mapping[str, PushOutcome] | None:
        """What becomes of a push, by connection; None where the epoch is not that of the node's lease."""
        if not self._clock.accepts(epoch, self._loop.time()):
            return None
        span = self._begin_push(push)
        outcomes = {
            c: self.mail.push(self._connections.get(c), push, span) for c in push.connections
        }
        if span is not None:
            span.end(sum(outcome is PushOutcome.DELIVERED for outcome in outcomes.values()))
        return outcomes

    def _begin_push(self, push: Push) -> PushSpan | None:
        if self._traces is None or (event := sampled_push(push)) is None:
            return None
        self._traces.arrived(event)
        return self.mail.begin_push(event)

    def _announcement(self) -> NodeAnnouncement:
        return NodeAnnouncement(
            self._node,
            self._parts.address,
            NodeState.DRAINING if self._is_draining() else NodeState.READY,
            self._parts.zone,
            self._load(),
        )

    async def _granted(self, lease: Lease) -> None:
        """The slot is read from the end that it has before anybody can be told to write to it."""
        await self._inbox.open(lease.slot)
        self._announcer.begin_anew()

    def _lost(self) -> None:
        self._announcer.lost()
        self.mail.look()

    def _known(self, connections: Iterable[str]) -> None:
        self.mail.known(self._connections[c] for c in connections if c in self._connections)

    def _evicted(self, evicted: Sequence[Evicted]) -> None:
        self.close_connections(e.connection for e in evicted if e.node == self._node)

    def _topic_learned(self) -> None:
        topology: Topology = self._topologies.by_stream[_STREAM]
        partitions = topology.partitions
        self.mail.topic_learned(
            UserTopic(topology.epoch, lambda user: partition_of(user.encode(), partitions))
        )

    def _topic_changed(self, change: TopicChange) -> None:
        """A grown topic is left as it was: users would have two partitions, and routers refuse it too."""
        if change.is_recreated:
            change.carry_out()
            self._topic_learned()
