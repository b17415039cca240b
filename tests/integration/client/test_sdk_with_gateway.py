"""The client and a real gateway node, over a real socket and the in-memory broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire.protocol.codes import CloseCode
from tidewire_client import (
    BackoffLimits,
    Batch,
    Client,
    ConnectionState,
    Options,
    Position,
    SubscriptionError,
)
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "flights": {"topic": "flights", "group": "key-prefix", "table": True, "public": True},
    "notices": {"topic": "notices", "modes": ["every", "latest"], "public": True},
    "secret": {"topic": "secret"},
}
QUICK = Options(backoff=BackoffLimits(first=0.02, most=0.1))


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@asynccontextmanager
async def node(topics: MemoryTopics, tmp_path: Path, **limits: Any) -> AsyncIterator[Gateway]:
    streams = write_streams(tmp_path, STREAMS)
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    async with running_gateway(streams, clients, limits) as running:
        yield running


@pytest.fixture
async def gateway(topics: MemoryTopics, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with node(topics, tmp_path) as running:
        yield running


def cut(gateway: Gateway) -> None:
    for connection in [*gateway.node.connections]:
        connection.close(CloseCode.OVERLOADED, "cut by the test")


async def offsets_until(batches: AsyncIterator[Batch], last: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] < last:
        batch = await asyncio.wait_for(anext(batches), 10)
        assert batch.kind != "gap", batch
        seen += [event.offset for event in batch.events]
    return seen


async def test_map_follows_the_table_through_updates_and_removals(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    await topics.publish("flights", "JFK/1", {"n": 1})
    await topics.publish("flights", "EWR/1", b'{ "n": 12345678901234567890, "x": 1.0 }')
    async with Client(gateway.ws) as client:
        sub = await client.subscribe("flights")
        await eventually(lambda: len(sub.state) == 2)
        assert sub.state["EWR/1"] == {"n": 12345678901234567890, "x": 1.0}
        await topics.publish("flights", "EWR/1", None)
        await topics.publish("flights", "JFK/1", {"n": 2})
        await eventually(lambda: dict(sub.state) == {"JFK/1": {"n": 2}})
        await eventually(lambda: sub.position and sub.position.offsets == {0: 4})


async def test_stream_chooses_the_mode_where_the_client_does_not(gateway: Gateway) -> None:
    async with Client(gateway.ws) as client:
        assert (await client.subscribe("notices")).mode == "every"
        assert (await client.subscribe("flights")).mode == "latest"


async def test_every_event_comes_once_and_in_order_through_cut_connections(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with Client(gateway.ws, options=QUICK) as client:
        sub = await client.subscribe("notices", mode="every")
        for i in range(60):
            await topics.publish("notices", f"k{i % 7}", {"i": i})
            if i % 20 == 10:
                cut(gateway)
        assert await offsets_until(aiter(sub), 59) == list(range(60))


async def test_latest_holds_the_newest_values_after_cut_connections(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    async with Client(gateway.ws, options=QUICK) as client:
        sub = await client.subscribe("flights", interval_ms=50)
        for i in range(60):
            await topics.publish("flights", f"JFK/{i % 7}", None if i % 11 == 5 else i)
            if i % 20 == 10:
                cut(gateway)
        newest: dict[str, int | None] = {}
        for i in range(60):
            newest[f"JFK/{i % 7}"] = None if i % 11 == 5 else i
        expected = {key: value for key, value in newest.items() if value is not None}
        await eventually(lambda: dict(sub.state) == expected)


async def test_position_of_one_client_serves_another(
    gateway: Gateway, topics: MemoryTopics
) -> None:
    for i in range(4):
        await topics.publish("notices", "k", i)
    async with Client(gateway.ws) as client:
        sub = await client.subscribe("notices", mode="every")
        assert sub.position is not None
        text = str(Position(sub.position.epoch, {0: 1}))
    async with Client(gateway.ws) as client:
        sub = client.subscribe("notices", mode="every", since=Position.parse(text))
        assert await offsets_until(aiter(sub), 3) == [1, 2, 3]
        assert sub.recovered == "exact"


async def test_connection_at_its_age_is_followed_by_another_without_a_break(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    states: list[ConnectionState] = []
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            node(topics, tmp_path, connection_age=0.3, goaway_window=1.0)
        )
        client = await stack.enter_async_context(Client(gateway.ws, on_state=states.append))
        sub = await client.subscribe("notices", mode="every")
        first = next(iter(gateway.node.connections))
        published = 0
        while first in gateway.node.connections:
            await topics.publish("notices", "k", published)
            published += 1
            await asyncio.sleep(0.02)
        await topics.publish("notices", "k", published)
        assert await offsets_until(aiter(sub), published) == list(range(published + 1))
        assert states == ["connecting", "connected"]


async def test_snapshot_larger_than_a_frame_arrives_whole(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    for i in range(100):
        await topics.publish("flights", f"JFK/{i}", "x" * 500)
    async with (
        node(topics, tmp_path, max_frame_out=16 * 1024) as gateway,
        Client(gateway.ws) as client,
    ):
        batch = await asyncio.wait_for(anext(aiter(client.subscribe("flights"))), 10)
        assert (batch.kind, len(batch.events), batch.partial) == ("snapshot", 100, False)


async def test_more_subscriptions_than_messages_are_allowed_all_stand_in_the_end(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    async with (
        node(topics, tmp_path, messages_in=4, messages_in_window=0.2) as gateway,
        Client(gateway.ws, options=QUICK) as client,
    ):
        subs = [client.subscribe(f"flights/G{i}") for i in range(12)]
        for sub in subs:
            await sub
        assert len({sub.sub for sub in subs}) == 12


async def test_rate_changes_and_pauses_lose_nothing(gateway: Gateway, topics: MemoryTopics) -> None:
    async with Client(gateway.ws) as client:
        sub = await client.subscribe("notices", mode="every")
        await topics.publish("notices", "k", 0)
        await sub.update(interval_ms=60)
        assert sub.granted_interval_ms == 100
        await topics.publish("notices", "k", 1)
        await sub.update(paused=True)
        await topics.publish("notices", "k", 2)
        await sub.update(paused=False)
        await topics.publish("notices", "k", 3)
        assert await offsets_until(aiter(sub), 3) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("channel", "mode", "code"),
    [
        ("flihgts", None, "unknown_channel"),
        ("secret", None, "forbidden"),
        ("flights", "every", "unsupported"),
        ("flights/", None, "bad_request"),
    ],
)
async def test_refusals_carry_the_code_of_the_protocol(
    gateway: Gateway, channel: str, mode: str | None, code: str
) -> None:
    async with Client(gateway.ws) as client:
        with pytest.raises(SubscriptionError) as refused:
            await client.subscribe(channel, mode=mode)
        assert refused.value.code == code


async def test_unsubscribed_channel_can_be_subscribed_again(gateway: Gateway) -> None:
    async with Client(gateway.ws) as client:
        first = await client.subscribe("flights")
        with pytest.raises(SubscriptionError, match="already_subscribed"):
            await client.subscribe("flights")
        await first.unsubscribe()
        await client.subscribe("flights")
