"""The programs of examples/publishing: their events arrive on the channel of their group, from the right partition."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from integration.docs.expectations import ROOT
from integration.docs.site import Site
from tidewire.dev.kafka_jars import kafka_jars
from tidewire.kafka.partitioning import partition_of
from tidewire_client import Client, Event, Subscription

PROGRAMS = ROOT / "examples" / "publishing"
TOPIC = "shop-orders"
PARTITIONS = 3
PATIENCE = 90.0
WRITTEN = re.compile(r"(\S+) partition (\d+) offset (\d+)")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

pytestmark = pytest.mark.timeout(180)


def published(site: Site, *command: str, **environment: str) -> dict[str, list[tuple[int, int]]]:
    """Run a program; the places of each key that it says it has written."""
    done = subprocess.run(
        [*command, site.addresses["127.0.0.1:9092"], TOPIC],
        env=site.environment() | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places: dict[str, list[tuple[int, int]]] = {}
    for key, partition, offset in WRITTEN.findall(done.stdout):
        places.setdefault(key, []).append((int(partition), int(offset)))
    return places


async def first_of(events: Subscription, count: int) -> list[Event]:
    found: list[Event] = []
    async for batch in events:
        found += batch.events
        if len(found) >= count:
            break
    return found


async def assert_arrives(site: Site, *command: str) -> None:
    """An order of Berlin, one of Paris and its removal come on the channels of their groups, from where they were written."""
    async with asyncio.timeout(PATIENCE), Client(site.run.ready["nodes"][0]["ws"]) as client:
        berlin = await client.subscribe("orders/berlin", mode="every")
        paris = await client.subscribe("orders/paris", mode="every")
        places = await asyncio.to_thread(published, site, *command)
        (paid,) = await first_of(berlin, 1)
        opened, removed = await first_of(paris, 2)

    assert paid.data == {"total": 42, "state": "paid"}
    assert opened.data == {"total": 7, "state": "open"}
    assert removed.deleted
    for event in (paid, opened, removed):
        assert (event.partition, event.offset) in places[event.key]
        group = event.key.partition("/")[0]
        assert event.partition == partition_of(group.encode(), PARTITIONS)


async def test_java(site: Site) -> None:
    jars = f"{kafka_jars()}/*"
    program = str(PROGRAMS / "java" / "Publish.java")
    await assert_arrives(site, "java", "-XX:TieredStopAtLevel=1", "-cp", jars, program)


@pytest.mark.parametrize("program", ["with_confluent_kafka.py", "with_aiokafka.py"])
async def test_python(site: Site, program: str) -> None:
    await assert_arrives(site, sys.executable, str(PROGRAMS / "python" / program))


async def test_trace_context_of_a_plain_client_reaches_subscribers(site: Site) -> None:
    program = PROGRAMS / "python" / "with_confluent_kafka.py"
    async with asyncio.timeout(PATIENCE), Client(site.run.ready["nodes"][0]["ws"]) as client:
        orders = await client.subscribe("orders/berlin", mode="every")
        running = asyncio.to_thread(
            published, site, sys.executable, str(program), TRACEPARENT=TRACE
        )
        _, batch = await asyncio.gather(running, anext(aiter(orders)))

    assert batch.traceparent is not None
    assert TRACE.split("-")[1] in batch.traceparent


@pytest.mark.skipif(
    not (PROGRAMS / "node" / "node_modules").is_dir(),
    reason="kafkajs is not installed: npm ci in examples/publishing/node",
)
async def test_node(site: Site) -> None:
    await assert_arrives(site, "node", str(PROGRAMS / "node" / "publish.js"))


@pytest.mark.skipif(
    "TIDEWIRE_GO_PUBLISHER" not in os.environ,
    reason="not built: go build in examples/publishing/go, and name it in TIDEWIRE_GO_PUBLISHER",
)
async def test_go(site: Site) -> None:
    program = shutil.which(Path(os.environ["TIDEWIRE_GO_PUBLISHER"]))
    assert program is not None
    await assert_arrives(site, program)
