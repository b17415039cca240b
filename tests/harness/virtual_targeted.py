"""Targeted delivery as a whole without sockets, brokers, stores or time: gateways, routers, registry, mailboxes, devices."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import orjson
import pytest

from tidewire.identity.tokens import Identity
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.records import (
    Bounds,
    Fetched,
    NewRecord,
    Record,
    RecordPosition,
    TopicPartition,
    TopicState,
)
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.codes import CloseCode
from tidewire.protocol.frames import Subscribe
from tidewire.targeting.errors import (
    LeaseLostError,
    RegistryUnavailableError,
    StoreUnavailableError,
)
from tidewire.targeting.mailboxes import MailboxLimits, Page
from tidewire.targeting.mailboxes_memory import MemoryMailboxes
from tidewire.targeting.messages import COLLAPSE_KEY, TTL, Letter, Message, letter_of
from tidewire.targeting.registry import (
    Batch,
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Place,
)
from tidewire.telemetry.metrics import create_metrics
from tidewire_client.codec import decode
from tidewire_client.messages import ErrorReply, Gap, GapNotice, Status, Subscribed, Updates
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway import topologies
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.instruments import Instruments as GatewayInstruments
from tidewire_gateway.targeted import mail, service
from tidewire_gateway.targeted.mail import MailSubscription
from tidewire_gateway.targeted.service import Targeted, TargetedParts
from tidewire_registry.core.leases import LeaseRules
from tidewire_registry.stores.memory import MemoryStore
from tidewire_router import lane
from tidewire_router.core.lookups import LookupCache
from tidewire_router.core.partition import PartitionWork
from tidewire_router.core.remembered import Remembered
from tidewire_router.core.waiting import WaitingLimits, WaitingRoom
from tidewire_router.gate import RegistryGate
from tidewire_router.instruments import Instruments as RouterInstruments
from tidewire_router.lane import Chunk, Lane, LaneLimits, LaneParts
from tidewire_router.outbox import Outbox

from .virtual import text_frames
from .virtual_processes import Clock, Flow, Link, Process, advance, answer_of, settle

__all__ = [
    "LENGTH",
    "LOOKUP_TTL",
    "SLOTS",
    "VirtualDevice",
    "VirtualNode",
    "VirtualRouter",
    "VirtualWorld",
]

T = TypeVar("T")

LENGTH = 3
"""Letters that a mailbox keeps."""
SLOTS = 3
LOOKUP_TTL = 5.0
_SECOND_LOOK = LOOKUP_TTL + 1.0
_TTL_MS = 86_400_000
_TARGETED, _INBOX = "targeted", "inbox"
_PARTITION = 0
_FETCH_WAIT = 2.0
"""Longer than it was asked for: a second of nothing takes one step instead of twenty."""
_REVOKE_TIMEOUT = 4.0


@cache
def _gateway_instruments() -> GatewayInstruments:
    return GatewayInstruments(create_metrics("gateway"))


@cache
def _router_instruments() -> RouterInstruments:
    return RouterInstruments(create_metrics("router"))


def _registry_away() -> Exception:
    return RegistryUnavailableError("the registry does not answer")


def _store_away() -> Exception:
    return StoreUnavailableError("the mailboxes do not answer")


def _broker_away() -> Exception:
    return BrokerUnavailableError("the broker does not answer")


class VirtualWorld:
    """Everything, on one clock. One targeted partition, one inbox partition a slot."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.patch = pytest.MonkeyPatch()
        for module in (mail, service, lane):
            self.patch.setattr(module, "time", self.clock)
        self.patch.setattr(topologies, "call_in_daemon_thread", _call_at_once)
        self.mailboxes = self._empty_mailboxes()
        self.empty_registry()
        self.topic: list[Record] = []
        self.committed = 0
        self.inboxes: defaultdict[int, list[Record]] = defaultdict(list)
        self.kept: defaultdict[str, dict[int, Message]] = defaultdict(dict)
        """What a mailbox was ever given, by user and offset."""
        self.unknowable: dict[str, set[int]] = {}
        """What was in mailboxes that were lost: who has had nothing of one cannot know that it was there."""
        self.nodes: list[VirtualNode] = []
        self.routers: list[VirtualRouter] = []
        self.owner: VirtualRouter | None = None
        self.numbers = itertools.count(1)

    def empty_registry(self) -> None:
        """At the start, and as if its store had lost everything."""
        rules = LeaseRules(slots=SLOTS)
        self.store = MemoryStore(lambda: round(self.clock.now * 1000), rules)

    def empty_mailboxes(self) -> None:
        """As if their store had lost everything."""
        self.mailboxes = self._empty_mailboxes()
        self.unknowable = {user: set(kept) for user, kept in self.kept.items()}

    def _empty_mailboxes(self) -> MemoryMailboxes:
        return MemoryMailboxes(
            MailboxLimits(length=LENGTH, ttl_ms=_TTL_MS), lambda: self.clock.now_ms
        )

    @property
    def live_nodes(self) -> list["VirtualNode"]:
        return [node for node in self.nodes if not node.process.is_dead]

    @property
    def members(self) -> Sequence["VirtualNode | VirtualRouter"]:
        """Whoever lives."""
        return [*self.live_nodes, *self.routers]

    @property
    def links(self) -> list[Link]:
        return [link for member in self.members for link in member.links]

    def start_node(self, name: str) -> "VirtualNode":
        node = VirtualNode(self, name)
        self.nodes.append(node)
        return node

    def start_router(self) -> "VirtualRouter":
        router = VirtualRouter(self)
        self.routers.append(router)
        return router

    def settle(self) -> None:
        settle(self._processes(), self.links)

    def advance(self, seconds: float) -> None:
        advance(self.clock, seconds, self._processes(), self.links)

    def _processes(self) -> list[Process]:
        return [member.process for member in self.members]

    def publish(self, user: str, *, ttl_ms: int | None = None, key: str | None = None) -> int:
        """Returns the offset."""
        offset = len(self.topic)
        headers = [("ce_id", b"m%d" % offset)]
        if ttl_ms is not None:
            headers.append((TTL, b"%d" % ttl_ms))
        if key is not None:
            headers.append((COLLAPSE_KEY, key.encode()))
        now_ms = self.clock.now_ms
        value = b"%d" % offset
        self.topic.append(
            Record(_TARGETED, _PARTITION, offset, now_ms, user.encode(), value, headers)
        )
        return offset

    def give_partition(self, router: "VirtualRouter") -> None:
        self.owner = router
        router.assign(self.committed)

    def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        prevs = answer_of(self.mailboxes.append(messages))
        for message in messages:
            if message.is_kept:
                self.kept[message.user][message.offset] = message
        return prevs

    def write(self, record: NewRecord) -> RecordPosition:
        log = self.inboxes[record.partition]
        offset = len(log)
        now_ms = self.clock.now_ms
        log.append(
            Record(
                _INBOX, record.partition, offset, now_ms, record.key, record.value, record.headers
            )
        )
        for node in self.live_nodes:
            node.reader.wake()
        return RecordPosition(_INBOX, record.partition, offset)

    def places(self, user: str) -> dict[str, set[str]]:
        """Connections by node, as a router would be told now."""
        answer_of(self.store.settle())
        found = answer_of(self.store.lookup([user])).get(user, ())
        return {place.node: set(place.connections) for place in found}

    def mailbox(self, user: str) -> Page:
        return answer_of(self.mailboxes.read(user, -1))

    def close(self) -> None:
        for process in [m.process for m in self.nodes] + [m.process for m in self.routers]:
            process.kill()
        self.patch.undo()


async def _call_at_once(function: Callable[[], T]) -> T:
    return function()


class _Admin:
    """Port `TopicAdmin`, of which a gateway only asks."""

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        return {name: TopicState(name, "topic-1", 1, {}) for name in names}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody calls {name}")


class _Registry:
    """Port `Registry` at the far end of a link; notes what the asker may believe of its lease."""

    def __init__(self, world: VirtualWorld, link: Link) -> None:
        self._world = world
        self._link = link
        self.epoch = ""
        self.ends_at = float("-inf")

    async def register(
        self, announcement: NodeAnnouncement, *, replaces: str | None = None
    ) -> Lease:
        sent_at, epoch = self._world.clock.now, f"{next(self._world.numbers):032x}"
        lease = await self._ask(
            lambda store: store.register(announcement, epoch, replaces=replaces)
        )
        self.epoch, self.ends_at = lease.epoch, sent_at + lease.lease_ms / 1000
        return lease

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        sent_at = self._world.clock.now
        lease_ms = await self._ask(lambda store: store.renew(node, epoch, state, load))
        if self.epoch == epoch and self._world.clock.now < self.ends_at:
            self.ends_at = max(self.ends_at, sent_at + lease_ms / 1000)
        return lease_ms

    async def release(self, node: str, epoch: str) -> None:
        await self._ask(lambda store: store.release(node, epoch))

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        return await self._ask(lambda store: store.announce(node, epoch, batch))

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        return await self._ask(lambda store: store.lookup(users))

    async def close(self) -> None:
        return

    async def _ask(self, question: Callable[[MemoryStore], Coroutine[Any, Any, T]]) -> T:
        def act() -> T:
            answer_of(self._world.store.settle())
            return answer_of(question(self._world.store))

        try:
            return await self._link.call(act)
        except LeaseLostError:
            self.ends_at = float("-inf")
            raise


class _Mailboxes:
    """Port `Mailboxes` at the far end of a link."""

    def __init__(self, world: VirtualWorld, link: Link) -> None:
        self._world = world
        self._link = link

    async def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        return await self._link.call(lambda: self._world.append(messages))

    async def read(self, user: str, after: int, *, limit: int = 100) -> Page:
        return await self._link.call(
            lambda: answer_of(self._world.mailboxes.read(user, after, limit=limit))
        )

    async def close(self) -> None:
        return


class _Writer:
    """Port `RecordWriter` at the far end of a link."""

    def __init__(self, world: VirtualWorld, link: Link) -> None:
        self._world = world
        self._link = link

    async def write(self, record: NewRecord) -> RecordPosition:
        return await self._link.call(lambda: self._world.write(record))

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody calls {name}")


class _Reader:
    """Port `RecordReader` of the inbox. While its link is held it hands over what `allow` says."""

    def __init__(self, world: VirtualWorld, process: Process, link: Link) -> None:
        self._world = world
        self._process = process
        self._link = link
        self._next: dict[TopicPartition, int] = {}
        self._allowed = 0
        self._waiting: Any = None

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        self._next = {tp: self._next.get(tp, start) for tp, start in starts.items()}

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        inboxes = self._world.inboxes
        return await self._link.call(
            lambda: {tp: Bounds(0, len(inboxes[tp.partition])) for tp in partitions}
        )

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        raise AssertionError("nobody reads an inbox by time")

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        if self._link.flow is Flow.CUT:
            raise _broker_away()
        fetched = self._take(max_records)
        if not fetched.records:
            self._waiting = self._process.loop.create_future()
            later = self._process.loop.call_later(_FETCH_WAIT, self.wake)
            try:
                await self._waiting
            finally:
                later.cancel()
            fetched = self._take(max_records)
        return fetched

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def allow(self, count: int) -> None:
        self._allowed = count
        self.wake()

    def _take(self, most: int) -> Fetched:
        if self._link.flow is not Flow.OPEN:
            most, self._allowed = self._allowed, 0
        if not most:
            return Fetched((), {})
        for tp, start in self._next.items():
            if start < 0:  # the end, wherever it is when reading begins
                start = self._next[tp] = len(self._world.inboxes[tp.partition])
            records = self._world.inboxes[tp.partition][start : start + most]
            self._next[tp] = start + len(records)
            return Fetched(records, {tp: self._next[tp]})
        return Fetched((), {})


class VirtualNode:
    """A gateway's part in targeted delivery, all of it."""

    def __init__(self, world: VirtualWorld, name: str) -> None:
        self.name = name
        self.world = world
        self.process = Process(world.clock)
        self.registry_link = Link(self.process, _registry_away, is_late=False)
        self.mailbox_link = Link(self.process, _store_away)
        self.kafka_link = Link(self.process, _broker_away, timeout=5.0)
        self.links = (self.registry_link, self.mailbox_link, self.kafka_link)
        self.registry = _Registry(world, self.registry_link)
        self.reader = _Reader(world, self.process, self.kafka_link)
        self.task = self.process.start(self._run())
        self.process.run()

    async def _run(self) -> None:
        world, subs = self.world, itertools.count(1)

        async def close() -> None:
            return

        self.targeted = Targeted(
            TargetedParts(
                registry=self.registry,
                reader=self.reader,
                mailboxes_of=lambda _: _Mailboxes(world, self.mailbox_link),
                address=f"http://{self.name}",
                targeted_topic=_TARGETED,
                inbox_topic=_INBOX,
                epoch="0",
                second_look=_SECOND_LOOK,
                zone=None,
                close=close,
            ),
            self.name,
            admin=_Admin(),
            poll_interval=1e6,
            new_sub=lambda: next(subs),
            load=lambda: MappingProxyType({}),
            is_draining=lambda: False,
            limits=Limits(),
            instruments=_gateway_instruments(),
        )
        reads_inbox: Any = self.targeted._inbox
        deliver = reads_inbox._deliver

        def checked(letter: Letter) -> None:
            self._check_lease()
            deliver(letter)

        reads_inbox._deliver = checked
        take = reads_inbox._take

        def noted(record: Record) -> None:
            self._record = record
            take(record)

        reads_inbox._take = noted
        await self.targeted.run()

    @property
    def is_told(self) -> bool:
        """Whether it holds a lease, and the registry has said that it knows all its connections."""
        targeted = self.targeted
        return targeted._clock.is_held(self.world.clock.now) and all(
            map(targeted._announcer.is_known, targeted._connections)
        )

    @property
    def overstays(self) -> bool:
        """Whether it believes in its lease for longer than it may: from the sending of what granted it."""
        believed = self.targeted._clock.ends_at
        return believed > max(self.registry.ends_at, self.world.clock.now)

    def stop(self) -> None:
        """As a node does that is told to: it gives its lease back."""
        self.task.cancel()
        self.process.run()
        for link in self.links:
            link.move()
        self.process.kill()

    def _check_lease(self) -> None:
        epoch, _ = letter_of(self._record)
        assert epoch == self.registry.epoch, "delivered what was meant for another holder"
        assert self.world.clock.now < self.registry.ends_at, "delivered after the lease had ended"


class VirtualRouter:
    """A router's lane, with what the router does around it."""

    def __init__(self, world: VirtualWorld) -> None:
        self.world = world
        self.process = Process(world.clock)
        self.registry_link = Link(self.process, _registry_away, is_late=False)
        self.mailbox_link = Link(self.process, _store_away)
        self.kafka_link = Link(self.process, _broker_away, timeout=30.0)
        self.links = (self.registry_link, self.mailbox_link, self.kafka_link)
        self.next = 0
        self.lane: Lane | None = None
        self.task: Any = None
        self._cache = LookupCache(ttl=LOOKUP_TTL, max_users=100)
        self._room = WaitingRoom(WaitingLimits())
        self.process.start(self._begin())
        self.process.run()

    async def _begin(self) -> None:
        instruments, world = _router_instruments(), self.world
        registry = _Registry(world, self.registry_link)
        gate = RegistryGate(registry, self._cache, instruments, on_answering=self._wake)
        self._parts = LaneParts(
            mailboxes=_Mailboxes(world, self.mailbox_link),
            outbox=Outbox(_Writer(world, self.kafka_link), instruments),
            gate=gate,
            instruments=instruments,
            inbox_topic=_INBOX,
            dlq_topic="dlq",
            ttl_ms=_TTL_MS,
            limits=LaneLimits(),
            on_settled=lambda: None,
        )
        await gate.watch()

    @property
    def is_owner(self) -> bool:
        return self.world.owner is self

    def assign(self, start: int) -> None:
        assert self.lane is None
        remembered = Remembered(100)
        work = PartitionWork(_PARTITION, self._cache, self._room, remembered)
        self.lane = Lane(self._parts, work, remembered, on_room=lambda: None)
        self.next = start
        self.task = self.process.start(self.lane.run())

    def read(self, most: int = 1 << 30) -> None:
        """The next records of the partition."""
        records = self.world.topic[self.next : self.next + most]
        if self.lane is not None and self.is_owner and records:
            self.next += len(records)
            self.process.do(self.lane.offer, Chunk(records, self.next))

    def commit(self) -> None:
        """A group's coordinator refuses it of who is the owner no more."""
        if self.lane is not None and self.is_owner:
            self.world.committed = max(self.world.committed, self.lane.work.watermark or 0)

    def revoke(self, then: Callable[[], None]) -> None:
        """Let the partition go, as a router does that is asked to; ``then`` is called when it has."""
        self.process.start(self._revoke(then))

    async def _revoke(self, then: Callable[[], None]) -> None:
        lane, task, self.lane = self.lane, self.task, None
        if lane is not None:
            lane.end()
            await asyncio.wait([task], timeout=_REVOKE_TIMEOUT)
            task.cancel()
            await asyncio.wait([task])
            if self.is_owner:
                self.world.committed = max(self.world.committed, lane.work.watermark or 0)
            lane.work.let_go()
        then()

    def _wake(self) -> None:
        if self.lane is not None:
            self.lane.wake()


class _Connection:
    """What a node sees of a device."""

    def __init__(self, name: str, user: str, node: VirtualNode) -> None:
        self.id = name
        self.node = node
        self.identity: Identity | None = Identity(user, {}, 0.0)
        self.is_congested = False
        self.mail: MailSubscription | None = None
        self.unread: list[bytes] = []
        self.last_offset = -1

    def write(self, data: bytes) -> None:
        self.unread.append(data)

    def close(self, code: CloseCode, reason: str) -> None:
        raise AssertionError(f"closed {code}: {reason}")


class VirtualDevice:
    """A user's device through all its connections, with the client's own rules."""

    def __init__(self, world: VirtualWorld, user: str) -> None:
        self.world = world
        self.user = user
        self.state = SubscriptionState(snapshot=True)
        self.connection: _Connection | None = None
        self.begin: int | None = None
        """The offset at which its subscription began; None while it was answered none."""
        self.delivered: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.had: set[int] = set()
        """What was delivered before it was told that the mailbox had lost its end."""
        self.lost: set[int] = set()
        self.is_refused = False

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and not self.connection.node.process.is_dead

    def connect(self, node: VirtualNode) -> None:
        assert not self.is_connected
        connection = _Connection(f"c{next(self.world.numbers)}", self.user, node)
        self.connection = connection
        node.process.do(node.targeted.welcomed, connection, None)
        self.subscribe()

    def subscribe(self) -> None:
        """Resume where it stood; also after a refusal."""
        connection = self.connection
        assert connection is not None
        self.is_refused = False
        payload: dict[str, Any] = {"channel": "@me"}
        if (at := self.state.position) is not None:
            offsets = {str(p): offset for p, offset in at.offsets.items()}
            payload["since"] = {"epoch": at.epoch, "offsets": offsets}
        frame = {"v": 1, "id": 1, "type": "subscribe", "payload": payload}
        request = decode_frame(orjson.dumps(frame))[0]
        assert isinstance(request, Subscribe)
        node = connection.node
        node.process.do(node.targeted.mail.subscribe, connection, request)

    def leave(self, *, is_lossy: bool = False) -> None:
        """The connection ends; ``is_lossy``: with what was on its way."""
        connection = self.connection
        if connection is None:
            return
        if not is_lossy:
            self.receive()
        self.connection = None
        node = connection.node
        if not node.process.is_dead:
            node.process.do(node.targeted.closed, connection)

    def set_congested(self, is_congested: bool) -> None:
        connection = self.connection
        if connection is None:
            return
        connection.is_congested = is_congested
        if not is_congested:
            connection.node.process.do(connection.node.targeted.mail.drained, connection)

    def receive(self) -> None:
        """Take what has come."""
        connection = self.connection
        if connection is None:
            return
        frames, connection.unread = connection.unread, []
        for data in frames:
            for text in text_frames(data):
                for received in decode(text):
                    self._take(received.message, connection)

    def _take(self, message: object, connection: _Connection) -> None:
        if isinstance(message, Subscribed):
            if self.begin is None:
                self.begin = message.position.offsets[_PARTITION]
            self._note(self.state.subscribed(message))
        elif isinstance(message, Updates):
            for event in message.events:
                assert event.offset > connection.last_offset, "a node wrote it twice, or too late"
                connection.last_offset = event.offset
            self.delivered += [e.offset for e in self.state.updates(message).events]
        elif isinstance(message, GapNotice):
            self._note(self.state.gap(message))
        elif isinstance(message, ErrorReply):
            assert message.code == "unavailable", message
            self.is_refused = True
        else:
            assert isinstance(message, Status), message

    def _note(self, gap: Gap | None) -> None:
        if gap is not None:
            ((begin, end),) = gap.ranges.values()
            if gap.reason == "truncated":
                assert end < begin
                self.lost.update(range(begin, len(self.world.topic)))
                self.had.update(self.delivered)
                self.delivered.clear()
            else:
                assert gap.reason == "retention", gap
                self.gaps.append((begin, end))
                self.lost.update(range(begin, end))

    def note_loss(self) -> None:
        """Of the mailbox: who stands before all of it cannot know whether anything was there."""
        position = self.state.position
        if position is None or not any(position.offsets.values()):
            self.lost.update(self.world.unknowable.get(self.user, ()))
