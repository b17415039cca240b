"""The whole path over real brokers: publish, read by partition, push; also after a restart of the node."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway import FrameClient, Gateway, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import AsyncPublisher
from tidewire.topics.apply import apply_topics
from tidewire_gateway.app import Clients


@pytest.fixture(params=["embedded_kafka", "real_kafka"])
def bootstrap(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


Node = Callable[[], AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def streams_path(tmp_path: Path, unique_name: Callable[[str], str]) -> Path:
    flights = {
        "topic": unique_name("flights"),
        "partitions": 3,
        "group": "key-prefix",
        "table": True,
        "modes": ["latest", "every"],
        "public": True,
    }
    return write_streams(tmp_path, {"flights": flights})


@pytest.fixture
def streams(streams_path: Path, bootstrap: str) -> dict[str, Stream]:
    streams = load_streams(streams_path).streams
    admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap))
    apply_topics(admin, streams)
    admin.close()
    return dict(streams)


@pytest.fixture
def node(streams_path: Path, streams: dict[str, Stream], bootstrap: str) -> Node:
    settings = KafkaSettings(bootstrap=bootstrap)

    @asynccontextmanager
    async def run() -> AsyncIterator[Gateway]:
        clients = Clients(lambda: ConfluentReader(settings), lambda: ConfluentAdmin(settings))
        async with running_gateway(streams_path, clients) as gateway:
            yield gateway

    return run


@pytest.fixture
async def publisher(bootstrap: str, streams: dict[str, Stream]) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher.connect(bootstrap, streams) as connected:
        yield connected


async def test_published_events_reach_every_subscriber_and_a_new_node_knows_them(
    node: Node, publisher: AsyncPublisher
) -> None:
    await publisher.publish("flights", "JFK/1", {"n": 1})
    await publisher.publish("flights", "LGA/1", {"n": 1})
    await publisher.publish("flights", "LGA/1", None)
    async with node() as gateway, gateway.connect() as whole, gateway.connect() as group:
        await whole.subscribe("flights")
        assert values(await whole.expect("snapshot")) == {"JFK/1": {"n": 1}}
        await group.subscribe("flights/JFK")
        position = (await group.expect("snapshot"))["position"]
        await publisher.publish("flights", "JFK/2", {"n": 2})
        await publisher.publish("flights", "EWR/9", {"n": 3})
        assert values(await group.expect("updates")) == {"JFK/2": {"n": 2}}
        assert await collected(whole, 2) == {"JFK/2": {"n": 2}, "EWR/9": {"n": 3}}
    await publisher.publish("flights", "JFK/1", {"n": 4})
    async with node() as gateway, gateway.connect() as client:
        subscribed = await client.subscribe("flights/JFK", since=position)
        assert subscribed["recovered"] == "changes"
        assert await collected(client, 2) == {"JFK/2": {"n": 2}, "JFK/1": {"n": 4}}


async def test_every_event_arrives_once_in_order_through_a_real_broker(
    node: Node, publisher: AsyncPublisher
) -> None:
    async with node() as gateway, gateway.connect() as client:
        await client.subscribe("flights/JFK", mode="every")
        for n in range(200):
            await publisher.publish("flights", f"JFK/{n % 7}", n)
        seen: list[int] = []
        while len(seen) < 200:
            seen += [e["data"] for e in (await client.expect("updates"))["events"]]
    assert seen == list(range(200))


async def test_new_partitions_leave_those_that_are_read_without_a_gap(
    node: Node, publisher: AsyncPublisher
) -> None:
    async with node() as gateway, gateway.connect() as client:
        await client.subscribe("flights/JFK", mode="every")
        seen: list[int] = []
        for n in range(60):
            await publisher.publish("flights", "JFK/1", n)
            if n % 20 == 10:
                async with gateway.connect() as other:
                    await other.subscribe(("flights/LGA", "flights/EWR", "flights")[n // 20])
        while len(seen) < 60:
            seen += [e["data"] for e in (await client.expect("updates"))["events"]]
    assert seen == list(range(60))


async def test_channel_is_read_once_over_http_and_tagged_alike_on_every_node(
    node: Node, publisher: AsyncPublisher
) -> None:
    await publisher.publish("flights", "JFK/1", {"n": 1})
    await publisher.publish("flights", "JFK/2", {"n": 2})
    await publisher.publish("flights", "JFK/2", None)
    await publisher.publish("flights", "LGA/1", {"n": 3})
    async with node() as one, node() as other, httpx.AsyncClient(timeout=10) as http:
        answer = await http.get(f"{one.http}/v1/channels/flights")
        assert values(answer.json()) == {"JFK/1": {"n": 1}, "LGA/1": {"n": 3}}
        group = await http.get(f"{one.http}/v1/channels/flights/JFK")
        assert values(group.json()) == {"JFK/1": {"n": 1}}
        tag = {"If-None-Match": answer.headers["etag"]}
        assert (await http.get(f"{other.http}/v1/channels/flights", headers=tag)).status_code == 304
        await publisher.publish("flights", "JFK/1", {"n": 4})

        async def moved() -> dict[str, Any] | None:
            again = await http.get(f"{other.http}/v1/channels/flights", headers=tag)
            return values(again.json()) if again.status_code == 200 else None

        newer = await eventually(moved, what="an answer that has moved")
    assert newer == {"JFK/1": {"n": 4}, "LGA/1": {"n": 3}}


def values(payload: dict[str, Any]) -> dict[str, Any]:
    return {e["key"]: e["data"] for e in payload["events"]}


async def collected(client: FrameClient, count: int) -> dict[str, Any]:
    """The newest value per key over as many updates as it takes to see ``count`` keys."""
    seen: dict[str, Any] = {}
    while len(seen) < count:
        seen |= values(await client.expect("updates"))
    return seen
