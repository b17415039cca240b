"""Following, the log of flows, the page's policy."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import NewRecord, RecordPosition, TopicPartition, TopicSpec
from tidewire.system.ending import tell_fault
from tidewire.system.streams import FLOWS, SYSTEM
from tidewire.system.writer import ASK_AGAIN_AFTER, SystemWriter
from tidewire_gateway.console.flows import MOST_PER_SECOND, FlowLog
from tidewire_gateway.console.following import MOST_FOLLOWED, Entity, Following
from tidewire_gateway.console.pages import content_security_policy

ENTITIES = st.builds(Entity, st.sampled_from("ab"), st.sampled_from("0123456789abcdef"))


class FollowingMachine(RuleBasedStateMachine):
    """Whatever is asked for, the sets hold exactly what is followed, and no more than may be."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: dict[str, set[str]] = {}
        self.following = Following(lambda stream: self.sets.setdefault(stream, set()))
        self.model: dict[Entity, float] = {}
        self.now = 0.0

    @rule(entity=ENTITIES, seconds=st.floats(0.1, 20))
    def follow(self, entity: Entity, seconds: float) -> None:
        self.model = {e: until for e, until in self.model.items() if until > self.now}
        has_room = entity in self.model or len(self.model) < MOST_FOLLOWED
        assert self.following.follow(entity, self.now + seconds, self.now) is has_room
        if has_room:
            self.model[entity] = self.now + seconds

    @rule(entity=ENTITIES)
    def end(self, entity: Entity) -> None:
        assert self.following.end(entity) is (self.model.pop(entity, None) is not None)

    @precondition(lambda self: self.model)
    @rule(seconds=st.floats(0, 10))
    def expire(self, seconds: float) -> None:
        self.now += seconds
        self.following.expire(self.now)
        self.model = {e: until for e, until in self.model.items() if until > self.now}

    @invariant()
    def sets_hold_what_is_followed(self) -> None:
        held = {Entity(stream, key) for stream, keys in self.sets.items() for key in keys}
        assert held == set(self.model)
        assert len(self.following) == len(held) <= MOST_FOLLOWED
        assert self.following.next_end() == min(self.model.values(), default=None)


TestFollowing = FollowingMachine.TestCase


def flow(number: int) -> dict[str, Any]:
    return {"trace": f"{number:032x}", "number": number}


def flows_of(broker: MemoryBroker) -> list[dict[str, Any]]:
    log = broker.log(TopicPartition(FLOWS, 0))
    records, _ = log.read(0, 1000)
    return [json.loads(record.value or b"") for record in records]


def test_flows_are_at_most_twenty_a_second() -> None:
    clock = [0.0]
    outcomes: Counter[str] = Counter()
    writer = SystemWriter(MemoryBroker().writer())
    flows = FlowLog(writer, lambda outcome: outcomes.update([outcome]), lambda: clock[0])
    for number in range(MOST_PER_SECOND + 7):
        flows.offer(flow(number))
    assert outcomes["dropped"] == 7
    clock[0] = 0.5
    for number in range(MOST_PER_SECOND):
        flows.offer(flow(number))
    assert outcomes["dropped"] == 7 + MOST_PER_SECOND // 2


def test_flows_that_cannot_be_written_wait_up_to_a_bound() -> None:
    clock = [0.0]
    outcomes: Counter[str] = Counter()
    writer = SystemWriter(MemoryBroker().writer())
    flows = FlowLog(writer, lambda outcome: outcomes.update([outcome]), lambda: clock[0])
    for number in range(500):
        clock[0] += 0.1
        flows.offer(flow(number))
    assert outcomes["dropped"] == 400


async def test_flows_are_written_under_their_trace() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(FLOWS, 1, {}))
    outcomes: Counter[str] = Counter()
    flows = FlowLog(SystemWriter(broker.writer()), lambda outcome: outcomes.update([outcome]))
    task = asyncio.create_task(flows.run())
    for number in range(3):
        flows.offer(flow(number))
    async with asyncio.timeout(5):
        await broker.wait_for_change(lambda: len(flows_of(broker)) == 3, 5)
        while len(flows_of(broker)) < 3:
            await broker.wait_for_change(lambda: len(flows_of(broker)) == 3, 5)
    task.cancel()
    assert flows_of(broker) == [flow(number) for number in range(3)]
    assert outcomes == {"told": 3}


async def test_writer_counts_what_kafka_does_not_take_and_goes_on_afterwards() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(FLOWS, 1, {}))
    writer = SystemWriter(broker.writer())
    broker.set_available(False)
    assert not await writer.write(FLOWS, "k", b"1")
    assert not await writer.write(FLOWS, "k", b"1")
    assert writer.lost == 2
    broker.set_available(True)
    assert await writer.write(FLOWS, "k", b"1")
    assert not await writer.write("nowhere", "k", b"1")
    assert writer.lost == 3
    await writer.close()


class AskedWriter:
    """A writer that counts how often the broker is asked for a topic."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._writer = broker.writer()
        self.asked: Counter[str] = Counter()

    async def start(self) -> None:
        await self._writer.start()

    async def write(self, record: NewRecord) -> RecordPosition:
        return await self._writer.write(record)

    async def partitions_of(self, topic: str) -> int:
        self.asked[topic] += 1
        return await self._writer.partitions_of(topic)

    async def flush(self) -> None:
        raise AssertionError("nobody waits")

    async def close(self) -> None:
        raise AssertionError("nobody flushes")

    async def abandon(self) -> None:
        await self._writer.abandon()


def test_topic_that_is_missing_is_told_once_with_the_cure_and_asked_for_every_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timers = VirtualTime()
    with asyncio.Runner(loop_factory=lambda: TimedLoop(timers)) as runner:
        runner.run(missing_topic(timers, caplog))


async def missing_topic(timers: "VirtualTime", caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(SYSTEM, 1, {}))
    asked = AskedWriter(broker)
    writer = SystemWriter(asked)
    for _ in range(10):
        written = await asyncio.gather(*(writer.write(FLOWS, "k", b"1") for _ in range(20)))
        assert not any(written)
        assert await writer.write(SYSTEM, "k", b"1")
        timers.now += ASK_AGAIN_AFTER / 10 - 0.001
    assert asked.asked == {FLOWS: 1, SYSTEM: 1}
    assert writer.lost == 200
    [warning] = caplog.records
    assert "`tidewire topics apply --console`" in str(warning.msg)
    timers.now += 0.1
    assert not await writer.write(FLOWS, "k", b"1")
    assert asked.asked[FLOWS] == 2
    broker.create(TopicSpec(FLOWS, 1, {}))
    assert not await writer.write(FLOWS, "k", b"1")
    timers.now += ASK_AGAIN_AFTER
    assert await writer.write(FLOWS, "k", b"1")
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


class VirtualTime:
    def __init__(self) -> None:
        self.now = 1000.0


class TimedLoop(asyncio.SelectorEventLoop):
    """A loop whose time only the test moves."""

    def __init__(self, timers: VirtualTime) -> None:
        super().__init__()
        self._timers = timers

    def time(self) -> float:
        return self._timers.now


async def test_fault_in_the_writing_of_flows_is_told(caplog: pytest.LogCaptureFixture) -> None:
    flows = FlowLog(SystemWriter(MemoryBroker().writer()), lambda _: None)
    task = asyncio.create_task(flows.run())
    task.add_done_callback(tell_fault("flows"))
    flows.offer({"no": "trace"})
    await eventually(lambda: caplog.records, what="the fault is told")
    [told] = caplog.records
    assert told.levelname == "ERROR"
    assert "fault" in str(told.msg)
    with pytest.raises(KeyError):
        await task


async def test_writer_gives_up_a_record_that_is_not_acknowledged() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(FLOWS, 1, {}))
    writer = SystemWriter(broker.writer(), patience=0.01)
    broker.hold_acknowledgements(True)
    assert not await writer.write(FLOWS, "k", b"1")
    assert writer.lost == 1
    broker.hold_acknowledgements(False)
    await writer.close()


@given(st.text(max_size=60))
def test_policy_is_no_place_for_what_a_host_header_smuggles(host: str) -> None:
    policy = content_security_policy(host)
    directives = [part.split()[0] for part in policy.split(";") if part.strip()]
    assert directives == [
        *("default-src", "connect-src", "img-src", "object-src"),
        *("base-uri", "form-action", "frame-ancestors"),
    ]
    sources = policy.partition("connect-src ")[2].partition(";")[0].split()
    assert sources in (["'self'"], ["'self'", f"ws://{host}", f"wss://{host}"])


def test_policy_names_the_sockets_of_its_own_host() -> None:
    assert "connect-src 'self' ws://[::1]:9000 wss://[::1]:9000;" in content_security_policy(
        "[::1]:9000"
    )
