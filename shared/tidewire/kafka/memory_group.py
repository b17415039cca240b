"""A consumer group of the in-memory broker: sticky, and as eager as the real one."""

import asyncio
import itertools
from collections.abc import Collection, Mapping

from .errors import BrokerUnavailableError
from .groups import GroupFetched, Missed, PartitionsMovedError
from .memory import MemoryBroker
from .ports import GroupListener
from .records import Record, RecordPosition, TopicPartition

__all__ = ["MemoryGroup", "MemoryGroupReader"]

_LOOK_INTERVAL = 0.02


class MemoryGroup:
    """Members and committed offsets of one group on one topic.

    What a broker does by itself a test does here by hand: `expire` ends a member's session.
    """

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self.broker = broker
        self.topic = topic
        self.committed: dict[TopicPartition, int] = {}
        self._members: dict[str, MemoryGroupReader] = {}
        self._ids = itertools.count(1)
        self._rebalancing = asyncio.Lock()

    def reader(self, instance_id: str | None = None) -> "MemoryGroupReader":
        return MemoryGroupReader(self, instance_id or f"member-{next(self._ids)}")

    async def expire(self, reader: "MemoryGroupReader") -> None:
        """Nothing was heard of a member for too long: the others get its partitions, and it is not asked."""
        async with self._rebalancing:
            reader.lose()
            if self._members.get(reader.name) is reader:
                del self._members[reader.name]
                await self._rebalance()

    async def join(self, reader: "MemoryGroupReader") -> None:
        self.broker.partitions_of(self.topic)
        async with self._rebalancing:
            before = self._members.get(reader.name)
            self._members[reader.name] = reader
            if before is None:
                await self._rebalance()
            else:  # static membership: nobody else notices
                await reader.take(before.lose())

    async def leave(self, reader: "MemoryGroupReader") -> None:
        async with self._rebalancing:
            reader.lose()
            if self._members.get(reader.name) is reader:
                del self._members[reader.name]
                await self._rebalance()

    async def _rebalance(self) -> None:
        owned = {name: await member.give_up() for name, member in self._members.items()}
        for name, partitions in self._shares(owned).items():
            await self._members[name].take(partitions)

    def _shares(
        self, owned: Mapping[str, Collection[TopicPartition]]
    ) -> dict[str, set[TopicPartition]]:
        """Equal shares, of what each had as far as it goes."""
        if not owned:
            return {}
        count = self.broker.partitions_of(self.topic)
        free = {TopicPartition(self.topic, number) for number in range(count)}
        least, more = divmod(count, len(owned))
        shares: dict[str, set[TopicPartition]] = {}
        for name, had in sorted(owned.items(), key=lambda item: -len(item[1])):
            size = least + (1 if more > 0 else 0)
            more -= 1
            shares[name] = set(sorted(free & set(had))[:size])
            free -= shares[name]
        sizes = {
            name: least + (1 if index < count % len(owned) else 0)
            for index, name in enumerate(shares)
        }
        for name, share in shares.items():
            missing = sorted(free)[: sizes[name] - len(share)]
            share.update(missing)
            free -= share
        return shares


class MemoryGroupReader:
    """`GroupReader` of a `MemoryGroup`."""

    def __init__(self, group: MemoryGroup, name: str) -> None:
        self.name = name
        self._group = group
        self._listener: GroupListener | None = None
        self._next: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._is_moving = True

    async def start(self, listener: GroupListener) -> None:
        self._listener = listener
        await self._group.join(self)

    async def fetch(self, *, max_records: int, max_wait: float) -> GroupFetched:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max_wait
        await asyncio.sleep(0)
        while not self._is_due() and (left := deadline - loop.time()) > 0:
            await self._group.broker.wait_for_change(self._is_due, min(_LOOK_INTERVAL, left))
        self._group.broker.check_available()
        return self._taken(max_records)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await asyncio.sleep(0)
        self._group.broker.check_available()
        if offsets.keys() - self._next.keys():
            raise PartitionsMovedError(
                "the group has rebalanced: another member has the partitions"
            )
        self._group.committed |= offsets

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._paused |= self._next.keys() & set(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._paused -= set(partitions)

    async def lags(self) -> Mapping[TopicPartition, int]:
        await asyncio.sleep(0)
        bounds = {tp: self._group.broker.bounds(tp) for tp in self._next}
        return {
            tp: end - self._group.committed.get(tp, start) for tp, (start, end) in bounds.items()
        }

    async def close(self) -> None:
        await self._group.leave(self)

    # What the group does.

    async def give_up(self) -> Collection[TopicPartition]:
        assert self._listener is not None
        self._is_moving = True
        had = tuple(self._next)
        if had:
            await self._listener.on_revoked(had)
        return self.lose()

    async def take(self, partitions: Collection[TopicPartition]) -> None:
        assert self._listener is not None
        for tp in sorted(partitions):
            start = self._group.broker.bounds(tp).start
            self._next[tp] = self._group.committed.get(tp, start)
        await self._listener.on_assigned(tuple(self._next))
        self._is_moving = False

    def lose(self) -> Collection[TopicPartition]:
        """The partitions that it had and has no more."""
        had = tuple(self._next)
        self._is_moving = True
        self._next.clear()
        self._paused.clear()
        return had

    def _flowing(self) -> list[TopicPartition]:
        return [] if self._is_moving else [tp for tp in self._next if tp not in self._paused]

    def _is_due(self) -> bool:
        try:
            return any(
                self._group.broker.bounds(tp).end != self._next[tp] for tp in self._flowing()
            )
        except BrokerUnavailableError:
            return True

    def _taken(self, max_records: int) -> GroupFetched:
        records: dict[TopicPartition, list[Record]] = {}
        moved: dict[TopicPartition, int] = {}
        undecodable: list[RecordPosition] = []
        missed: list[Missed] = []
        left = max_records
        for tp in self._flowing():
            log = self._group.broker.log(tp)
            if not log.has(self._next[tp]):
                missed.append(Missed(*tp, self._next[tp], log.bounds.start))
                self._next[tp] = log.bounds.start
            found, after = log.read(self._next[tp], left)
            undecodable += log.undecodable(self._next[tp], after)
            if found:
                records[tp] = found
                left -= len(found)
            if after != self._next[tp]:
                moved[tp] = after
        self._next |= moved
        return GroupFetched(records, moved, undecodable, missed)
