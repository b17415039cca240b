"""A gateway's delivery without sockets, Kafka or time: everything happens when a test says so."""

import heapq
import itertools
from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidewire.config.streams import Stream
from tidewire.identity.tokens import Identity
from tidewire.kafka.records import Bounds, Fetched, Header, Record, TopicPartition
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription
from tidewire.telemetry.metrics import create_metrics
from tidewire_client.codec import decode
from tidewire_client.messages import GapNotice, Snapshot, Status, Subscribed, Updates
from tidewire_client.subscription_state import Accepted, SubscriptionState
from tidewire_gateway.core.decoding import Decoder
from tidewire_gateway.core.demand import Demand
from tidewire_gateway.core.feed_index import FeedIndex
from tidewire_gateway.core.feeds import Topology
from tidewire_gateway.core.history import History
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.subscriptions import Subscription
from tidewire_gateway.delivery import Delivery
from tidewire_gateway.fanout import Fanout
from tidewire_gateway.ingest import Ingest
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.membership import Membership
from tidewire_gateway.traces import EventTraces

__all__ = [
    "Moment",
    "VirtualClient",
    "VirtualLog",
    "VirtualNode",
    "VirtualTimers",
    "copied",
    "finish",
    "text_frames",
]


class _Call:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback = callback
        self._args = args
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def run(self) -> None:
        if not self.is_cancelled:
            self._callback(*self._args)


class VirtualTimers:
    """`Timers` that a test moves by hand."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._soon: list[_Call] = []
        self._later: list[tuple[float, int, _Call]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> _Call:
        call = _Call(callback, args)
        self._soon.append(call)
        return call

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> _Call:
        return self.call_at(self._now + delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> _Call:
        call = _Call(callback, args)
        heapq.heappush(self._later, (when, next(self._order), call))
        return call

    @property
    def pending(self) -> int:
        """Calls to come at a later time that were not cancelled."""
        return sum(not call.is_cancelled for _, _, call in self._later)

    def turn(self) -> None:
        """One turn of the loop: what is due now, not what that schedules."""
        while self._later and self._later[0][0] <= self._now:
            self._soon.append(heapq.heappop(self._later)[2])
        due, self._soon = self._soon, []
        for call in due:
            call.run()

    def advance(self, seconds: float) -> None:
        """Let time pass, turn by turn."""
        end = self._now + seconds
        self.settle()
        while self._later and self._later[0][0] <= end:
            self._now = max(self._now, self._later[0][0])
            self.settle()
        self._now = end

    def settle(self) -> None:
        """Turn until nothing is due."""
        self.turn()
        while self._soon or (self._later and self._later[0][0] <= self._now):
            self.turn()


@dataclass
class VirtualLog:
    """The topic: records per partition, as Kafka would hold them."""

    topic: str
    partitions: int
    epoch: str = "epoch"
    now_ms: int = 1_700_000_000_000
    records: dict[int, list[Record]] = field(default_factory=dict)
    kept_from: int = 0

    def publish(
        self, partition: int, key: str, value: bytes | None, headers: Sequence[Header] = ()
    ) -> Record:
        held = self.records.setdefault(partition, [])
        record = Record(self.topic, partition, len(held), self.now_ms, key.encode(), value, headers)
        held.append(record)
        return record

    def recreate(self, partitions: int) -> None:
        """Delete the topic and make it anew."""
        self.epoch += "'"
        self.partitions = partitions
        self.records.clear()
        self.kept_from = 0

    def end(self, partition: int) -> int:
        return len(self.records.get(partition, ()))

    def newest(self, matches: Callable[[str], bool]) -> dict[str, bytes]:
        """The map that every client of a channel must end with."""
        newest: dict[str, bytes] = {}
        for held in self.records.values():
            for record in held:
                assert record.key is not None
                key = record.key.decode()
                if not matches(key):
                    continue
                if record.value is None:
                    newest.pop(key, None)
                else:
                    newest[key] = record.value
        return newest


class VirtualNode:
    """One node's delivery over a `VirtualLog`, reading when told; ``most_writes`` in a turn of its loop."""

    def __init__(
        self,
        log: VirtualLog,
        stream: Stream,
        limits: Limits | None = None,
        *,
        most_writes: int = 200,
        traces: EventTraces | None = None,
    ) -> None:
        self.log = log
        self.timers = VirtualTimers()
        self._stream = stream
        self._read = dict.fromkeys(range(log.partitions), 0)
        instruments = Instruments(create_metrics("gateway"))
        limits = limits or Limits()
        topologies: dict[str, Topology] = {}
        self.index = FeedIndex(max_window_bytes=limits.max_frame_out // 2)
        fanout = Fanout(
            self.timers,
            instruments,
            max_frame=limits.max_frame_out,
            most_writes=most_writes,
            traces=traces,
        )
        history = History(log_window=1e12, tombstone_ttl=1e12, max_bytes=1 << 40)
        self.delivery = Delivery(
            {"s": stream},
            topologies,
            timers=self.timers,
            index=self.index,
            members=Membership(
                self.index,
                Demand(30.0),
                instruments,
                limits,
                timers=self.timers,
                on_demand=lambda: None,
            ),
            fanout=fanout,
            want_past=self._want_past,
            instruments=instruments,
            limits=limits,
        )
        self.wanted: dict[TopicPartition, int] = {}
        self._ingest = Ingest(
            self.index,
            fanout,
            instruments,
            history,
            timers=self.timers,
            on_live=self.delivery.partition_live,
            on_advanced=self.delivery.advanced,
        )
        topology = Topology(log.topic, log.epoch, log.partitions, stream.partitions)
        topologies["s"] = self.topology = topology
        self._ingest.add_stream("s", topology, Decoder(stream, 100_000), traces)
        for partition in self._read:
            self._open(partition)
        self.timers.settle()

    def let_go(self, partition: int) -> None:
        """The partition is read no more, as after its position has left the log."""
        if partition in self._read:
            del self._read[partition]
            where = TopicPartition(self.log.topic, partition)
            self._ingest.close(where)
            self.delivery.partitions_let_go(frozenset({where}))

    def begin_anew(self, partition: int, start: int = 0) -> None:
        """The partition is read again, from ``start``."""
        if partition not in self._read:
            self._read[partition] = start
            self._open(partition)

    def _want_past(self, partition: TopicPartition, offset: int) -> None:
        self.wanted[partition] = min(offset, self.wanted.get(partition, offset))

    def backfill(self, most: int = 1 << 30) -> None:
        """Read what is wanted of the past, at most so many records of each partition."""
        if self._is_cut_off:
            return
        wanted, self.wanted = self.wanted, {}
        for place, offset in wanted.items():
            held = self._ingest.held_of(place)
            if held is not None and offset < held.complete_from:
                span = range(offset, min(held.complete_from, offset + most))
                records = self.log.records[place.partition][span.start : span.stop]
                finish(self._ingest.keep_past(place, held, span, records))
            self.delivery.backfilled(place)

    def notice_topic(self) -> None:
        """The broker is asked what the topic is now."""
        epoch, partitions = self.log.epoch, self.log.partitions

        def change() -> None:
            if self.topology.epoch != epoch:
                self._ingest.forget("s")
                self._read.clear()
            self.topology.epoch, self.topology.partitions = epoch, partitions

        if (epoch, partitions) != (self.topology.epoch, self.topology.partitions):
            self.delivery.topic_changed("s", change)

    def evict(self, partition: int, count: int) -> None:
        """Forget the oldest events of a partition's log, as their age would have it."""
        log = self.topology.logs.get(partition)
        for _ in range(count if log is not None else 0):
            if log is not None and log.log:
                log.evict_oldest()

    def measure(self) -> None:
        """The broker is asked for the ends of what is read."""
        if self._is_cut_off:
            return
        tell_ends = self.delivery.before_ends()
        tell_ends({TopicPartition(self.log.topic, p): self.log.end(p) for p in self._read})

    def _open(self, partition: int) -> None:
        bounds = Bounds(self.log.kept_from, self.log.end(partition))
        self._ingest.open(TopicPartition(self.log.topic, partition), self._read[partition], bounds)

    @property
    def _is_cut_off(self) -> bool:
        """Whether the topic it knows is gone, and it has not noticed yet."""
        return self.topology.epoch != self.log.epoch

    def read(self, partition: int, count: int) -> None:
        """Take the next records of a partition, as one fetch."""
        if partition not in self._read or self._is_cut_off:
            return
        start = self._read[partition]
        records = self.log.records.get(partition, [])[start : start + count]
        self._read[partition] = start + len(records)
        moved = {TopicPartition(self.log.topic, partition): self._read[partition]}
        finish(self._ingest.take(Fetched(records, moved)))

    def read_all(self) -> None:
        for partition in range(self.log.partitions):
            self.begin_anew(partition)
            self.read(partition, 1 << 30)


@dataclass(frozen=True)
class Moment:
    """What a client knew when it had been handed a position."""

    state: SubscriptionState
    delivered: tuple[tuple[int, int], ...]


class VirtualClient:
    """A connection and the client's own rules for one subscription at its other end.

    What is written while ``is_congested`` arrives all the same, as it would from a socket's buffer.
    """

    def __init__(self, node: VirtualNode, state: SubscriptionState, channel: str) -> None:
        self.node = node
        self.state = state
        self.channel = channel
        self.is_congested = False
        self.identity: Identity | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self.sub: int | None = None
        self.delivered: list[tuple[int, int]] = []  # in the present epoch
        self.delivered_now: list[tuple[int, int]] = []
        self.traceparents: list[str | None] = []  # of every frame of updates
        self.statuses: list[str] = []
        self.gaps = 0
        self.gap_reasons: list[str | None] = []
        self.duplicates = 0
        self.moments: list[Moment] = []
        self._is_update = False

    def subscribe(self, **options: Any) -> None:
        self._ask({"type": "subscribe", "payload": {"channel": self.channel, **options}})

    def update(self, **options: Any) -> None:
        self._is_update = True
        self._ask({"type": "update_subscription", "payload": {"sub": self.sub, **options}})

    def leave(self) -> None:
        self.node.delivery.drop(self)

    def drain(self) -> None:
        self.is_congested = False
        self.node.delivery.drained(self)

    def write(self, data: bytes) -> None:
        for text in text_frames(data):
            for received in decode(text):
                self._take(received.message)

    def _ask(self, message: dict[str, Any]) -> None:
        request = decode_frame(orjson.dumps({"v": 1, "id": 1, **message}))[0]
        assert not isinstance(request, ProtocolError), request
        if isinstance(request, Subscribe):
            self.node.delivery.subscribe(self, request)
        elif isinstance(request, UpdateSubscription):
            self.node.delivery.update(self, request)
        else:
            assert isinstance(request, Unsubscribe)
            self.node.delivery.unsubscribe(self, request)

    def _take(self, message: object) -> None:
        before = self.epoch
        self._apply(message)
        if self.epoch != before:
            self.delivered = self.delivered_now
        if self.state.position is not None:
            self.moments.append(Moment(copied(self.state), tuple(self.delivered)))

    @property
    def epoch(self) -> str | None:
        return None if self.state.position is None else self.state.position.epoch

    def _apply(self, message: object) -> None:
        self.delivered_now = []
        if isinstance(message, Subscribed):
            gap = self.state.subscribed(message, is_update=self._is_update)
            if gap is not None:
                self.gaps += 1
                self.gap_reasons.append(gap.reason)
            self._is_update = False
            self.sub = message.sub
        elif isinstance(message, Snapshot):
            assert message.sub == self.sub
            accepted = self.state.snapshot(message)
            if accepted is not None:
                self._deliver(accepted)
        elif isinstance(message, Updates):
            assert message.sub == self.sub
            self.traceparents.append(message.traceparent)
            fresh = self.state.updates(message)
            self.duplicates += len(message.events) - len(fresh.events)
            self._deliver(fresh)
        elif isinstance(message, GapNotice):
            self.gaps += 1
            self.gap_reasons.append(message.gap.reason)
            self.state.gap(message)
        else:
            assert isinstance(message, Status), message
            self.statuses.append(message.state)

    def _deliver(self, accepted: Accepted) -> None:
        self.delivered_now = [(e.partition, e.offset) for e in accepted.events]
        self.delivered += self.delivered_now


def finish(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that waits for nothing but its next turn."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        return


def text_frames(data: bytes) -> list[str]:
    """The payloads of unmasked, unfragmented text frames that stand one after another."""
    texts = []
    while data:
        assert data[0] == 0x81
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        texts.append(data[start : start + size].decode())
        data = data[start + size :]
    return texts


def copied(state: SubscriptionState) -> SubscriptionState:
    """What a client knows, to go on with twice: what it is made of is frozen, but for its containers."""
    twin = copy(state)
    vars(twin).update({name: copy(value) for name, value in vars(state).items()})
    return twin
