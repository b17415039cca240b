"""Feeds: one (channel, mode, interval) on this node, shared by every subscription that asks for it."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import chain
from typing import NamedTuple
from weakref import WeakSet

from tidewire.config.streams import is_reserved
from tidewire.protocol.channels import Channel
from tidewire.protocol.codes import Mode
from tidewire.protocol.positions import Position

from .backlog import Backlog
from .coalescing import Batch, Window, make_window
from .events import Event
from .partition_log import PartitionLog
from .sampling import SampledEvent
from .snapshots import Snapshot
from .subscriptions import STATE_NAMES, Subscription, SubscriptionState

__all__ = [
    "MOST_SAMPLED",
    "Feed",
    "FeedKey",
    "Flush",
    "Topology",
    "Urgency",
    "count_by_state",
    "events_at_or_after",
]

MOST_SAMPLED = 128
"""Of one flush: as many as a span may have links (OTEL_SPAN_LINK_COUNT_LIMIT)."""
_SNAPSHOTS = 4
_SNAPSHOT_AGE = 1.0


@dataclass(frozen=True, slots=True)
class FeedKey:
    """What makes two subscriptions share a feed; ``interval_ms`` is the granted one."""

    channel: Channel
    mode: Mode
    interval_ms: int


@dataclass(slots=True)
class Topology:
    """A stream's topic as the node knows it: epoch, partition count, what is held of each partition.

    ``logs`` holds the partitions that are read; ``live`` those among them that have caught up.
    ``declared`` is the partition count that the stream was configured with. Where the topic has another, a
    group's events may stand in two partitions: those of before the count changed, and those of after.
    """

    topic: str
    epoch: str
    partitions: int
    declared: int = 0
    logs: dict[int, PartitionLog] = field(default_factory=dict)
    live: set[int] = field(default_factory=set)

    @property
    def is_regrouped(self) -> bool:
        return self.declared not in (0, self.partitions)


class Urgency(Enum):
    """When an offered event is to be flushed, where that is not seen to already."""

    AT_ONCE = auto()  # the window is full
    NOW = auto()  # the feed was idle
    LATER = auto()  # at the feed's next interval


class Flush(NamedTuple):
    """One flush: its batch and moved ``position`` for those attached, who stood at ``prior`` before it.

    ``joining`` are the subscriptions that attach at this boundary; ``sequence`` is the feed's count. ``sampled`` are those
    of the events carried or folded that are followed, the newest at most; ``sampled_before`` counts the others.
    """

    batch: Batch
    position: Position
    prior: Position
    joining: list[Subscription]
    sequence: int
    sampled: Sequence[SampledEvent] = ()
    sampled_before: int = 0


class Feed:
    """Coalesces once for all its subscriptions.

    ``sub`` is its number on this node, never reused. ``sent`` is the position of the last flush: per
    partition the next offset that no flush has covered. ``sequence`` counts flushes. ``backlog`` is what
    those who catch up are handed pieces of. ``oldest_at`` is when the oldest event of the last flush came about,
    in the time of ``last_flush_at``; None where that flush wrote no event. ``carried`` and ``coalesced`` count the
    events of its flushes, and those folded away.
    """

    __slots__ = (
        "_catching_up",
        "_noted",
        "_sampled",
        "_snapshot",
        "_snapshots",
        "attached",
        "backlog",
        "carried",
        "coalesced",
        "detached",
        "is_reserved",
        "is_scheduled",
        "joining",
        "key",
        "last_flush_at",
        "oldest_at",
        "partitions",
        "sent",
        "sequence",
        "sub",
        "topology",
        "window",
    )

    def __init__(
        self,
        sub: int,
        key: FeedKey,
        *,
        topology: Topology,
        partitions: tuple[int, ...],
        max_window_bytes: int,
    ) -> None:
        self.sub = sub
        self.key = key
        self.is_reserved = is_reserved(key.channel.stream)
        self.topology = topology
        self.partitions = partitions
        self.window: Window = make_window(key.mode, max_window_bytes)
        self.attached: dict[Subscription, None] = {}
        self.joining: dict[Subscription, None] = {}
        self.detached: dict[Subscription, None] = {}
        self.sent: dict[int, int] = {}
        self.sequence = 0
        self.carried = self.coalesced = 0
        self.backlog: Backlog | None = None
        self._catching_up: set[Subscription] = set()
        self._sampled: deque[SampledEvent] = deque(maxlen=MOST_SAMPLED)
        self._noted = 0
        self._snapshot: Snapshot | None = None  # the last one made
        self._snapshots: WeakSet[Snapshot] = (
            WeakSet()
        )  # those that somebody is being handed, and it
        self.last_flush_at = float("-inf")
        self.oldest_at: float | None = None
        self.is_scheduled = False

    @property
    def interval(self) -> float:
        """Seconds between two flushes."""
        return self.key.interval_ms / 1000

    @property
    def is_live(self) -> bool:
        """Whether every partition of the channel has caught up."""
        return self.topology.live.issuperset(self.partitions)

    @property
    def missing(self) -> list[int]:
        """The partitions that have not caught up."""
        return [p for p in self.partitions if p not in self.topology.live]

    def position(self) -> Position:
        """Up to where this node has read: the position of a flush or snapshot made now."""
        logs = self.topology.logs
        return Position(
            self.topology.epoch, {p: logs[p].next_offset for p in self.partitions if p in logs}
        )

    def is_behind(self, position: Position) -> bool:
        """Whether a position of this topic lies ahead of what the node has read."""
        logs = self.topology.logs
        return position.epoch == self.topology.epoch and any(
            p in logs and position.offsets.get(p, 0) > logs[p].next_offset for p in self.partitions
        )

    def sent_position(self) -> Position:
        """Where an attached subscription stands."""
        position = Position(self.topology.epoch, dict(self.sent))
        return position if len(self.sent) == len(self.partitions) else self.completed(position)

    def completed(self, position: Position) -> Position:
        """A position of one who began while partitions were not read: in those it began where they did."""
        logs = self.topology.logs
        began = {p: logs[p].began_at for p in self.partitions if p in logs}
        return Position(position.epoch, began | dict(position.offsets))

    @property
    def has_untold(self) -> bool:
        """Whether there are partitions that no flush has covered since they began."""
        return any(p in self.topology.logs and p not in self.sent for p in self.partitions)

    def offer(self, event: Event, now: float) -> Urgency | None:
        """Take one event of the channel and say when to flush; None where a flush is due, or nobody attends.

        An idle feed flushes at once (leading edge); a busy one at most once an interval.
        """
        if not (self.attached or self.joining):
            return None
        if self.window.offer(event):
            return Urgency.AT_ONCE
        if self.is_scheduled:
            return None
        return Urgency.NOW if now >= self.last_flush_at + self.interval else Urgency.LATER

    def take_flush(self, now: float) -> Flush:
        """Hand over what has gathered; those who wait to join are attached from here on."""
        self.is_scheduled = False
        self.last_flush_at = now
        self.oldest_at = None
        self.sequence += 1
        prior = self.sent_position()
        logs = self.topology.logs
        moved: dict[int, int] = {}
        for partition in self.partitions:
            log = logs.get(partition)
            if log is not None and log.next_offset != self.sent.get(partition):
                moved[partition] = self.sent[partition] = log.next_offset
        joining = list(self.joining)
        self.joining.clear()
        batch = self.window.take_batch()
        self.carried += len(batch.events)
        self.coalesced += batch.coalesced
        position = Position(self.topology.epoch, moved)
        sampled, before = self._take_sampled() if self._sampled else ((), 0)
        return Flush(batch, position, prior, joining, self.sequence, sampled, before)

    def note(self, event: SampledEvent) -> None:
        """The event that is about to be offered is followed."""
        if self.is_attended:
            self._sampled.append(event)
            self._noted += 1

    def _take_sampled(self) -> tuple[Sequence[SampledEvent], int]:
        sampled, noted = list(self._sampled), self._noted
        self._sampled.clear()
        self._noted = 0
        return sampled, noted - len(sampled)

    @property
    def is_level(self) -> bool:
        """Whether nothing has gathered: a subscription at `position` may attach at once."""
        return not self.window

    def level(self) -> None:
        """Move `sent` over offsets that held nothing for this channel."""
        assert self.is_level
        self.sent.update(self.position().offsets)

    @property
    def is_attended(self) -> bool:
        """Whether anybody will get the next flush; nothing gathers for nobody."""
        return bool(self.attached or self.joining)

    @property
    def is_unused(self) -> bool:
        return not (self.attached or self.joining or self.detached)

    def members(self) -> Iterator[Subscription]:
        return chain(self.attached, self.joining, self.detached)

    def admit(self, subscription: Subscription) -> None:
        """Take a subscription in, detached."""
        self.detached[subscription] = None

    def attach(self, subscription: Subscription) -> None:
        """From the next flush on the subscription gets the shared frames."""
        self._remove(subscription)
        self.attached[subscription] = None
        subscription.attached_at(self.sequence)

    def join(self, subscription: Subscription, standing: Position) -> None:
        """Attach a subscription that stands where the node has read to, now or at the next flush boundary."""
        self._remove(subscription)
        if self.is_level:
            self.level()
            self.attach(subscription)
        else:
            self.joining[subscription] = None
            subscription.detach(SubscriptionState.JOINING, standing)

    def detach(
        self, subscription: Subscription, state: SubscriptionState, standing: Position
    ) -> None:
        """Give a subscription no more shared frames; it keeps a position and nothing else."""
        self._remove(subscription)
        self.detached[subscription] = None
        if state is SubscriptionState.CATCHING_UP:
            self._catching_up.add(subscription)
        subscription.detach(state, standing)
        self._forget_if_unattended()

    def retarget(self, partitions: tuple[int, ...]) -> None:
        """The channel has other partitions, or its topic is another one: nothing of before counts."""
        assert not self.is_attended, "detach everybody first"
        self.partitions = partitions
        self.sent = {}
        self.forget_history()

    def forget_history(self) -> None:
        """What was gathered for those who catch up is of a log that is no longer held."""
        self.backlog = None

    def shared_snapshot(self, now: float) -> Snapshot | None:
        """A snapshot already made that serves a newcomer as well as one made now.

        A short one only if it is true now. A long one also when it is a moment old, or when so many are
        being handed out that another would cost too much memory: what changed since follows it.
        """
        newest = max(self._snapshots, key=lambda snapshot: snapshot.made_at, default=None)
        if newest is None or newest.position == self.position():
            return newest
        if newest.is_short or newest.position.epoch != self.topology.epoch:
            return None
        is_fresh = now - newest.made_at < _SNAPSHOT_AGE
        return newest if is_fresh or len(self._snapshots) >= _SNAPSHOTS else None

    def share(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._snapshots.add(snapshot)

    def tidy(self, now: float) -> bool:
        """Let go of what was gathered for those who caught up; whether nothing is left to let go of."""
        if not self._catching_up:
            self.backlog = None
        if self._snapshot is not None and now - self._snapshot.made_at >= _SNAPSHOT_AGE:
            self._snapshot = None
        return self.backlog is None and self._snapshot is None

    def drop(self, subscription: Subscription) -> None:
        """The subscription has ended."""
        self._remove(subscription)
        subscription.detach(SubscriptionState.ENDED, None)
        subscription.drop_snapshot()
        self._forget_if_unattended()

    def _remove(self, subscription: Subscription) -> None:
        for group in (self.attached, self.joining, self.detached):
            group.pop(subscription, None)
        self._catching_up.discard(subscription)

    def _forget_if_unattended(self) -> None:
        if not self.is_attended:
            self.window.take_batch()
            self._take_sampled()


def count_by_state(feeds: Iterable[Feed]) -> dict[str, int]:
    """Subscriptions by the name of their state; every name is there. Costs little for those who are attached."""
    counts = dict.fromkeys(STATE_NAMES.values(), 0)
    detached: Counter[SubscriptionState] = Counter()
    for feed in feeds:
        counts["attached"] += len(feed.attached)
        counts["joining"] += len(feed.joining)
        if feed.detached:
            detached.update(s.state for s in feed.detached)
    for state, count in detached.items():
        counts[STATE_NAMES[state]] += count
    return counts


def events_at_or_after(events: Iterable[Event], offsets: Mapping[int, int]) -> list[Event]:
    """Those events that a position does not cover."""
    return [e for e in events if e.offset >= offsets.get(e.partition, 0)]
