"""What every reader of a consumer group does, over every broker that has groups."""

import asyncio
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contract.backends import Backend, MemoryBackend, ServerBackend, new_topic
from contract.conftest import EVERY_READER, make_backend
from contract.reading import numbered
from harness.names import unique
from harness.waiting import eventually, wait_until
from tidewire.dev.brokers import embedded_broker
from tidewire.kafka.aiokafka_group import AiokafkaGroupReader
from tidewire.kafka.errors import BrokerUnavailableError, KafkaError, UnknownTopicError
from tidewire.kafka.groups import GroupMembership, Missed, PartitionsMovedError
from tidewire.kafka.memory_group import MemoryGroup
from tidewire.kafka.ports import GroupReader
from tidewire.kafka.records import RecordPosition, TopicPartition

pytestmark = pytest.mark.timeout(120)


@dataclass
class Member:
    """A reader, what it was told, and what it was handed."""

    reader: GroupReader
    assigned: set[TopicPartition] = field(default_factory=set)
    told: list[tuple[str, set[int]]] = field(default_factory=list)
    offsets: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)
    undecodable: list[RecordPosition] = field(default_factory=list)
    commits_when_revoked: bool = False

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(("assigned", {tp.partition for tp in partitions}))
        self.assigned = set(partitions)

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(("revoked", {tp.partition for tp in partitions}))
        if self.commits_when_revoked and self.next_offsets:
            await self.reader.commit(dict(self.next_offsets))
        self.assigned = set()
        self.next_offsets.clear()

    async def fetch(self, *, max_records: int = 1000) -> None:
        fetched = await self.reader.fetch(max_records=max_records, max_wait=0.2)
        assert sum(map(len, fetched.records.values())) <= max_records
        assert fetched.next_offsets.keys() <= self.assigned
        for tp, records in fetched.records.items():
            assert records
            assert all((r.topic, r.partition) == tp for r in records)
            assert records[-1].offset < fetched.next_offsets[tp]
            self.offsets[tp.partition] += [r.offset for r in records]
        self.next_offsets |= fetched.next_offsets
        self.missed += fetched.missed
        self.undecodable += fetched.undecodable

    async def fetch_until(self, is_enough: Callable[["Member"], bool], **limits: int) -> None:
        async with asyncio.timeout(30.0):
            while not is_enough(self):
                await self.fetch(**limits)


@dataclass
class Group:
    """A group on one topic of a backend, whose members are closed at the end."""

    backend: Backend
    topic: str
    name: str = field(default_factory=lambda: unique("group"))
    members: list[Member] = field(default_factory=list)
    memory: MemoryGroup | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.backend, MemoryBackend):
            self.memory = MemoryGroup(self.backend.broker, self.topic)

    def tp(self, partition: int = 0) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def member(self, instance_id: str | None = None) -> Member:
        if self.memory is not None:
            reader: GroupReader = self.memory.reader(instance_id)
        else:
            assert isinstance(self.backend, ServerBackend)
            membership = GroupMembership(
                self.name, instance_id, session_timeout=6.0, heartbeat_interval=0.3
            )
            reader = AiokafkaGroupReader(
                self.backend.settings(**self.limits), self.topic, membership
            )
        self.members.append(Member(reader))
        return self.members[-1]

    async def joined(self, instance_id: str | None = None) -> Member:
        member = self.member(instance_id)
        await member.reader.start(member)
        await member.fetch_until(lambda m: bool(m.assigned))
        return member

    async def leave(self, member: Member) -> None:
        self.members.remove(member)
        await member.reader.close()


@pytest.fixture(params=EVERY_READER)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
async def make_group(backend: Backend) -> AsyncIterator[Callable[[int], Group]]:
    groups: list[Group] = []

    def make(partitions: int) -> Group:
        groups.append(Group(backend, new_topic(backend, partitions)))
        return groups[-1]

    yield make
    for group in groups:
        for member in list(group.members):
            await group.leave(member)


MakeGroup = Callable[[int], Group]


async def both_fetch(members: Collection[Member], is_enough: Callable[[], bool]) -> None:
    """Members fetch side by side, as their processes would."""

    async def go_on(member: Member) -> None:
        while True:
            await member.fetch()

    tasks = [asyncio.create_task(go_on(member)) for member in members]
    try:
        await eventually(lambda: is_enough() or any(t.done() for t in tasks), within=40.0)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in ended), ended


async def test_a_new_group_reads_every_partition_from_its_first_record(
    make_group: MakeGroup,
) -> None:
    group = make_group(2)
    for partition in range(2):
        group.backend.seed(numbered(group.topic, 5, partition=partition))

    member = await group.joined()
    await member.fetch_until(lambda m: sum(map(len, m.offsets.values())) == 10)

    assert dict(member.offsets) == {0: list(range(5)), 1: list(range(5))}
    assert member.next_offsets == {group.tp(0): 5, group.tp(1): 5}
    assert member.missed == []
    group.backend.seed(numbered(group.topic, 2, first=5))
    await member.fetch_until(lambda m: len(m.offsets[0]) == 7)
    assert member.offsets[0] == list(range(7))


async def test_no_hand_over_is_larger_than_asked_for(make_group: MakeGroup) -> None:
    group = make_group(1)
    group.backend.seed(numbered(group.topic, 20))
    member = await group.joined()

    await member.fetch_until(lambda m: len(m.offsets[0]) == 20, max_records=3)

    assert member.offsets[0] == list(range(20))


async def test_the_next_member_goes_on_where_the_last_one_committed(
    make_group: MakeGroup,
) -> None:
    group = make_group(1)
    group.backend.seed(numbered(group.topic, 10))
    first = await group.joined()
    await first.fetch_until(lambda m: len(m.offsets[0]) == 10)
    await first.reader.commit({group.tp(): 4})
    await group.leave(first)

    second = await group.joined()
    await second.fetch_until(lambda m: len(m.offsets[0]) == 6)

    assert second.offsets[0] == list(range(4, 10))


async def test_lag_counts_from_what_is_committed(make_group: MakeGroup) -> None:
    group = make_group(2)
    group.backend.seed(numbered(group.topic, 10))
    member = await group.joined()
    assert await member.reader.lags() == {group.tp(0): 10, group.tp(1): 0}

    await member.fetch_until(lambda m: len(m.offsets[0]) == 10)
    await member.reader.commit({group.tp(0): 7})

    assert await member.reader.lags() == {group.tp(0): 3, group.tp(1): 0}


async def test_a_paused_partition_rests_and_the_others_flow(make_group: MakeGroup) -> None:
    group = make_group(2)
    member = await group.joined()
    member.reader.pause([group.tp(0)])
    for partition in range(2):
        group.backend.seed(numbered(group.topic, 5, partition=partition))

    await member.fetch_until(lambda m: len(m.offsets[1]) == 5)
    await member.fetch()
    assert member.offsets[0] == []

    member.reader.resume([group.tp(0)])
    await member.fetch_until(lambda m: len(m.offsets[0]) == 5)
    assert member.offsets[0] == list(range(5))


async def test_a_partition_that_was_paused_amid_its_records_goes_on_behind_them(
    make_group: MakeGroup,
) -> None:
    group = make_group(1)
    group.backend.seed(numbered(group.topic, 10))
    member = await group.joined()
    await member.fetch_until(lambda m: len(m.offsets[0]) >= 3, max_records=3)

    member.reader.pause([group.tp()])
    await member.fetch()
    member.reader.resume([group.tp()])
    await member.fetch_until(lambda m: len(m.offsets[0]) == 10)

    assert member.offsets[0] == list(range(10))


async def test_who_joins_gets_a_share_and_each_record_is_read_once(make_group: MakeGroup) -> None:
    group = make_group(4)
    if not group.backend.has_topic_ids:
        pytest.skip("the embedded broker takes no commits while its group rebalances")
    first = await group.joined()
    assert len(first.assigned) == 4
    first.commits_when_revoked = True
    for partition in range(4):
        group.backend.seed(numbered(group.topic, 5, partition=partition))
    await first.fetch_until(lambda m: sum(map(len, m.offsets.values())) == 20)

    second = group.member()
    await second.reader.start(second)
    await both_fetch(
        [first, second], lambda: len(first.assigned) == 2 and len(second.assigned) == 2
    )
    for partition in range(4):
        group.backend.seed(numbered(group.topic, 5, first=5, partition=partition))

    def count() -> int:
        return sum(len(o) for m in (first, second) for o in m.offsets.values())

    await both_fetch([first, second], lambda: count() >= 40)

    assert first.assigned | second.assigned == {group.tp(p) for p in range(4)}
    assert ("revoked", {0, 1, 2, 3}) in first.told
    for partition in range(4):
        assert first.offsets[partition] + second.offsets[partition] == list(range(10))
    for tp in second.assigned:
        assert first.offsets[tp.partition] == list(range(5))


async def test_what_the_last_owner_did_not_commit_is_read_once_more(
    make_group: MakeGroup,
) -> None:
    group = make_group(1)
    group.backend.seed(numbered(group.topic, 6))
    first = await group.joined()
    await first.fetch_until(lambda m: len(m.offsets[0]) == 6)
    await first.reader.commit({group.tp(): 2})

    await group.leave(first)
    second = await group.joined()
    await second.fetch_until(lambda m: len(m.offsets[0]) == 4)

    assert second.offsets[0] == [2, 3, 4, 5]


async def test_a_group_that_rebalances_stays_sticky(make_group: MakeGroup) -> None:
    group = make_group(6)
    first = await group.joined()
    second = group.member()
    await second.reader.start(second)
    await both_fetch(
        [first, second], lambda: len(first.assigned) == 3 and len(second.assigned) == 3
    )
    had = [set(member.assigned) for member in (first, second)]

    third = group.member()
    await third.reader.start(third)
    members = [first, second, third]
    await both_fetch(members, lambda: all(len(member.assigned) == 2 for member in members))

    assert first.assigned < had[0]
    assert second.assigned < had[1]


async def test_who_leaves_gives_its_partitions_to_the_others(make_group: MakeGroup) -> None:
    group = make_group(2)
    first = await group.joined()
    second = group.member()
    await second.reader.start(second)
    await both_fetch(
        [first, second], lambda: len(first.assigned) == 1 and len(second.assigned) == 1
    )

    await group.leave(second)
    await first.fetch_until(lambda m: len(m.assigned) == 2)

    assert first.assigned == {group.tp(0), group.tp(1)}


async def test_a_static_member_that_leaves_gives_its_partitions_away_too(
    make_group: MakeGroup,
) -> None:
    group = make_group(2)
    first = await group.joined("router-0")
    second = group.member("router-1")
    await second.reader.start(second)
    await both_fetch(
        [first, second], lambda: len(first.assigned) == 1 and len(second.assigned) == 1
    )

    await group.leave(second)
    async with asyncio.timeout(4.0):  # sooner than its session would end
        await first.fetch_until(lambda m: len(m.assigned) == 2)

    assert first.assigned == {group.tp(0), group.tp(1)}


async def test_offsets_of_partitions_of_others_are_not_committed(make_group: MakeGroup) -> None:
    group = make_group(2)
    group.backend.seed(numbered(group.topic, 5))
    group.backend.seed(numbered(group.topic, 5, partition=1))
    first = await group.joined()
    second = group.member()
    await second.reader.start(second)
    await both_fetch(
        [first, second], lambda: len(first.assigned) == 1 and len(second.assigned) == 1
    )
    (theirs,) = second.assigned

    with pytest.raises(PartitionsMovedError):
        await first.reader.commit({theirs: 5})

    assert (await second.reader.lags())[theirs] == 5


async def test_what_retention_took_is_told_and_the_rest_is_read(make_group: MakeGroup) -> None:
    group = make_group(1)
    if not group.backend.has_topic_ids:
        pytest.skip("the embedded broker deletes no records")
    group.backend.seed(numbered(group.topic, 10))
    first = await group.joined()
    await first.fetch_until(lambda m: len(m.offsets[0]) == 10)
    await first.reader.commit({group.tp(): 3})
    await group.leave(first)
    group.backend.truncate_before(group.tp(), 6)

    second = await group.joined()
    await second.fetch_until(lambda m: len(m.offsets[0]) == 4)

    assert second.offsets[0] == [6, 7, 8, 9]
    assert second.missed == [Missed(group.topic, 0, 3, 6)]
    assert second.missed[0].size == 3


@pytest.mark.parametrize("max_records", [2, 1000])
async def test_what_nobody_can_decode_is_passed_over_and_told(
    make_group: MakeGroup, max_records: int
) -> None:
    group = make_group(2)
    group.backend.seed(numbered(group.topic, 3))
    group.backend.seed(numbered(group.topic, 5, partition=1))
    await group.backend.seed_undecodable(numbered(group.topic, 5, first=3), {0, 3})
    group.backend.seed(numbered(group.topic, 2, first=8))
    member = await group.joined()

    await member.fetch_until(
        lambda m: m.next_offsets == {group.tp(0): 10, group.tp(1): 5}, max_records=max_records
    )

    assert member.offsets[0] == [0, 1, 2, 4, 5, 7, 8, 9]
    assert member.offsets[1] == list(range(5))
    assert member.undecodable == [RecordPosition(group.topic, 0, offset) for offset in (3, 6)]


async def test_aborted_records_are_not_read(make_group: MakeGroup) -> None:
    group = make_group(1)
    if not group.backend.has_topic_ids:
        pytest.skip("the embedded broker has no transactions")
    group.backend.seed(numbered(group.topic, 2))
    group.backend.abort(numbered(group.topic, 2))
    group.backend.seed(numbered(group.topic, 2))
    member = await group.joined()

    await member.fetch_until(lambda m: len(m.offsets[0]) >= 4)

    assert member.offsets[0] == [0, 1, 5, 6]
    assert member.next_offsets == {group.tp(): 7}


async def test_a_fetch_that_is_cancelled_loses_nothing(make_group: MakeGroup) -> None:
    group = make_group(1)
    member = await group.joined()
    for number in range(20):
        fetching = asyncio.create_task(member.fetch())
        await asyncio.sleep(0)
        group.backend.seed(numbered(group.topic, 1, first=number))
        fetching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await fetching

    await member.fetch_until(lambda m: len(m.offsets[0]) >= 20)

    assert member.offsets[0] == list(range(20))


async def test_a_topic_that_is_missing_is_named(backend: Backend) -> None:
    group = Group(backend, unique("missing"))
    member = group.member()

    with pytest.raises(UnknownTopicError, match=group.topic):
        await member.reader.start(member)

    await member.reader.close()


class TestSilence:
    """What happens to the partitions of a member that was killed."""

    async def test_the_others_get_its_partitions(self) -> None:
        backend = MemoryBackend()
        group = Group(backend, new_topic(backend, 2))
        first, second = await group.joined(), await group.joined()
        assert group.memory is not None

        await group.memory.expire(first.reader)  # type: ignore[arg-type] # the memory group's own

        assert second.assigned == {group.tp(0), group.tp(1)}
        with pytest.raises(PartitionsMovedError):
            await first.reader.commit({group.tp(0): 1})

    async def test_a_static_member_that_comes_back_in_time_is_given_its_own(self) -> None:
        backend = MemoryBackend()
        group = Group(backend, new_topic(backend, 2))
        first, second = await group.joined("router-0"), await group.joined("router-1")
        had, told = set(first.assigned), list(second.told)

        again = await group.joined("router-0")

        assert again.assigned == had
        assert second.told == told


class TestAway:
    """A broker of the test's own that does not answer for a while."""

    @contextlib.asynccontextmanager
    async def switchable(
        self, kind: str, folder: Path
    ) -> AsyncIterator[tuple[Backend, Callable[[bool], None]]]:
        """A backend, and what switches its answers off and on."""
        if kind == "memory":
            memory = MemoryBackend()
            yield memory, memory.broker.set_available
            return
        with embedded_broker(folder) as broker:

            def switch(is_on: bool) -> None:
                os.kill(broker.pid, signal.SIGCONT if is_on else signal.SIGSTOP)
                stat = Path(f"/proc/{broker.pid}/stat")
                wait_until(lambda: (stat.read_text().rpartition(")")[2].split()[0] == "T") != is_on)

            yield ServerBackend(broker.bootstrap, has_topic_ids=False), switch
            switch(True)

    @pytest.mark.parametrize("kind", ["memory", "embedded"])
    async def test_a_member_says_so_and_goes_on_once_it_is_back(
        self, kind: str, tmp_path: Path
    ) -> None:
        async with self.switchable(kind, tmp_path) as (backend, switch):
            group = Group(backend, new_topic(backend), limits={"request_timeout": 1.0})
            backend.seed(numbered(group.topic, 3))
            member = await group.joined()
            await member.fetch_until(lambda m: len(m.offsets[0]) == 3)

            switch(False)
            with pytest.raises(BrokerUnavailableError):
                await member.reader.commit({group.tp(): 3})
            with pytest.raises(BrokerUnavailableError):
                await member.reader.lags()
            with contextlib.suppress(BrokerUnavailableError):
                await member.fetch()
            assert member.offsets[0] == [0, 1, 2]

            switch(True)
            await asyncio.to_thread(backend.seed, numbered(group.topic, 2, first=3))
            await member.fetch_until(lambda m: set(m.offsets[0]) == set(range(5)))
            await group.leave(member)

    async def test_a_member_that_can_join_nobody_any_more_joins_anew(
        self, embedded_kafka: str
    ) -> None:
        backend = ServerBackend(embedded_kafka, has_topic_ids=False)
        group = Group(backend, new_topic(backend))
        backend.seed(numbered(group.topic, 3))
        member = await group.joined()
        await member.fetch_until(lambda m: len(m.offsets[0]) == 3)
        await member.reader.commit({group.tp(): 2})
        assert isinstance(member.reader, AiokafkaGroupReader)
        coordinator = member.reader._running()._coordinator

        async def fail(*_: object) -> None:
            raise RuntimeError("something that the client does not expect")

        coordinator.ensure_active_group = fail
        coordinator.request_rejoin()
        with pytest.raises(KafkaError, match="does not expect"):
            await member.fetch_until(lambda m: len(m.offsets[0]) == 4)
        await member.fetch_until(lambda m: len(m.offsets[0]) == 4)

        assert member.offsets[0] == [0, 1, 2, 2]
        assert [what for what, _ in member.told] == ["assigned", "revoked", "assigned"]
        await group.leave(member)
