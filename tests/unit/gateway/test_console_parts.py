"""Following, the log of flows, origins, the page's policy."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicPartition, TopicSpec
from tidewire.system.streams import FLOWS
from tidewire.system.writer import SystemWriter
from tidewire_gateway.console.entrance import is_foreign_page
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
    flows = FlowLog(SystemWriter(MemoryBroker().writer()), lambda: clock[0])
    for number in range(MOST_PER_SECOND + 7):
        flows.offer(flow(number))
    assert flows.dropped == 7
    clock[0] = 0.5
    for number in range(MOST_PER_SECOND):
        flows.offer(flow(number))
    assert flows.dropped == 7 + MOST_PER_SECOND // 2


def test_flows_that_cannot_be_written_wait_up_to_a_bound() -> None:
    clock = [0.0]
    flows = FlowLog(SystemWriter(MemoryBroker().writer()), lambda: clock[0])
    for number in range(500):
        clock[0] += 0.1
        flows.offer(flow(number))
    assert flows.dropped == 400


async def test_flows_are_written_under_their_trace() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(FLOWS, 1, {}))
    flows = FlowLog(SystemWriter(broker.writer()))
    task = asyncio.create_task(flows.run())
    for number in range(3):
        flows.offer(flow(number))
    async with asyncio.timeout(5):
        await broker.wait_for_change(lambda: len(flows_of(broker)) == 3, 5)
        while len(flows_of(broker)) < 3:
            await broker.wait_for_change(lambda: len(flows_of(broker)) == 3, 5)
    task.cancel()
    assert flows_of(broker) == [flow(number) for number in range(3)]


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


async def test_writer_gives_up_a_record_that_is_not_acknowledged() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec(FLOWS, 1, {}))
    writer = SystemWriter(broker.writer(), patience=0.01)
    broker.hold_acknowledgements(True)
    assert not await writer.write(FLOWS, "k", b"1")
    assert writer.lost == 1
    broker.hold_acknowledgements(False)
    await writer.close()


@pytest.mark.parametrize(
    ("origin", "host", "is_foreign"),
    [
        (None, "127.0.0.1:9000", False),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", False),
        ("https://console.example", "console.example", False),
        ("http://127.0.0.1:9001", "127.0.0.1:9000", True),
        ("https://elsewhere.example", "127.0.0.1:9000", True),
        ("null", "127.0.0.1:9000", True),
        ("", "127.0.0.1:9000", True),
        ("http://127.0.0.1:9000", None, True),
        ("http://[", "127.0.0.1:9000", True),
    ],
)
def test_page_is_another_sites_where_its_origin_is_not_the_host(
    origin: str | None, host: str | None, is_foreign: bool
) -> None:
    told = {"origin": origin, "host": host}
    headers = {name: value for name, value in told.items() if value is not None}
    assert is_foreign_page(headers) is is_foreign


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
