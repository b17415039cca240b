"""More nodes than slots, or than partitions of the inbox: who has none says what is wrong, and serves all the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from typer.testing import CliRunner

from harness.gateway import FrameClient, write_streams
from harness.gateway_process import GatewayProcess, running_process
from harness.kafka_topics import KafkaTopics
from harness.ports import LOOPBACK, free_port
from harness.redis import redis_process
from harness.registry import registry_process
from harness.waiting import eventually
from integration.router.parts import targeted
from integration.router.processes import router_process
from tidewire.cli.app import make_app
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import load_key
from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.records import NewRecord
from tidewire.kafka.settings import KafkaSettings

pytestmark = pytest.mark.timeout(120)

PARTITIONS = 3


@dataclass
class Scene:
    """Two nodes that began before their registry did, and a router."""

    nodes: list[GatewayProcess]
    registry_url: str
    bootstrap: str
    flights: str
    targeted: str
    token: str

    async def node_that_says(self, *texts: str) -> GatewayProcess:
        def found() -> GatewayProcess | None:
            said = (node for node in self.nodes if all(text in node.said() for text in texts))
            return next(said, None)

        return await eventually(found, within=30.0, what=f"a node that says {texts}")

    def publish(self, record: NewRecord) -> None:
        writer = ConfluentWriter(KafkaSettings(bootstrap=self.bootstrap))
        writer.offer(record)
        assert writer.flush(20.0) == 0
        writer.close(20.0)

    @contextlib.asynccontextmanager
    async def client(self, node: GatewayProcess) -> AsyncIterator[FrameClient]:
        url = node.ready["ws"]
        async with websockets.connect(url) as connection:
            client = FrameClient(connection)
            await client.hello(self.token)
            yield client

    async def serves(self, node: GatewayProcess) -> None:
        """Streams, and `@me`, on a node that no router knows how to reach."""
        async with self.client(node) as client:
            await client.subscribe("@me")
            await client.subscribe("flights", mode="every")
            record = NewRecord(self.flights, 0, b"a", b'"airborne"')
            await asyncio.to_thread(self.publish, record)
            assert await data_of(client) == "airborne"
            message = targeted("ann", 7, PARTITIONS, topic=self.targeted)
            await asyncio.to_thread(self.publish, message)
            assert await data_of(client) == 7
        text = (await asyncio.to_thread(httpx.get, f"{node.ready['internal']}/metrics")).text
        assert "tidewire_lease_held 0.0" in text
        assert 'tidewire_letters_total{outcome="mailbox"} 1.0' in text

    def shown(self) -> str:
        return CliRunner().invoke(make_app(), ["nodes", "--registry", self.registry_url]).output


async def data_of(client: FrameClient) -> Any:
    while (message := await client.receive())["type"] != "updates":
        pass
    (event,) = message["payload"]["events"]
    return event["data"]


@pytest.fixture
def scenes(
    embedded_kafka: str, tmp_path: Path, unique_name: Callable[[str], str]
) -> Callable[[int], contextlib.AbstractContextManager[Scene]]:
    """By the number of slots, over an inbox topic of one partition."""

    @contextlib.contextmanager
    def make(slots: int) -> Iterator[Scene]:
        flights, topic, inbox, dlq, group = map(unique_name, ("f", "targeted", "inbox", "dlq", "g"))
        topics = KafkaTopics(embedded_kafka)
        for name, partitions in ((flights, 1), (topic, PARTITIONS), (inbox, 1), (dlq, 1)):
            topics.create(name, partitions)
        key = tmp_path / "token.key"
        key.write_text("22" * 32)
        port = free_port()
        registry_url = f"http://{LOOPBACK}:{port}"
        with contextlib.ExitStack() as held:
            redis = held.enter_context(redis_process(tmp_path / "redis"))
            nodes = []
            for name in ("a", "b"):
                folder = tmp_path / name
                folder.mkdir()
                stream = {"topic": flights, "public": True, "modes": ["latest", "every"]}
                path = write_streams(folder, {"flights": stream})
                variables = {
                    "NODE": name,
                    "INTERNAL_PORT": "0",
                    "KAFKA__BOOTSTRAP": embedded_kafka,
                    "TOKEN_KEY_FILE": str(key),
                    "TARGETED__REGISTRY_URL": registry_url,
                    "TARGETED__REDIS_URL": redis.url,
                    "TARGETED__TOPIC": topic,
                    "TARGETED__INBOX_TOPIC": inbox,
                }
                nodes.append(held.enter_context(running_process(path, **variables)))
            held.enter_context(
                registry_process(tmp_path, redis.url, PORT=str(port), SLOTS=str(slots))
            )
            held.enter_context(
                router_process(
                    KAFKA__BOOTSTRAP=embedded_kafka,
                    REDIS_URL=redis.url,
                    REGISTRY_URL=registry_url,
                    TARGETED_TOPIC=topic,
                    INBOX_TOPIC=inbox,
                    DLQ_TOPIC=dlq,
                    GROUP_ID=group,
                )
            )
            token = issue_token(load_key(key), "ann", {}, ttl=600)
            yield Scene(nodes, registry_url, embedded_kafka, flights, topic, token)

    return make


async def test_node_for_which_there_is_no_slot_names_the_cure_and_serves(
    scenes: Callable[[int], contextlib.AbstractContextManager[Scene]],
) -> None:
    with scenes(1) as scene:
        node = await scene.node_that_says(
            "all 1 slots are held",
            "give the inbox topic more partitions and set TIDEWIRE_REGISTRY__SLOTS",
            "messages to users come from their mailboxes",
        )
        await scene.serves(node)
        assert "1 of 1 slots held" in await asyncio.to_thread(scene.shown)


async def test_node_whose_slot_has_no_partition_names_the_cure_and_serves(
    scenes: Callable[[int], contextlib.AbstractContextManager[Scene]],
) -> None:
    with scenes(2) as scene:
        node = await scene.node_that_says(
            "has no partition 1: it has 1",
            "give the inbox topic as many partitions as TIDEWIRE_REGISTRY__SLOTS says",
        )
        await scene.serves(node)
        assert "2 of 2 slots held" in await asyncio.to_thread(scene.shown)
