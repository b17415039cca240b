"""What a node's metrics say of a real connection, a reader that stands still, and to whom they are shown."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.readers import PassingReader
from harness.waiting import eventually
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Fetched
from tidewire_gateway.app import Clients
from tidewire_gateway.internal_app import create_internal_app

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
STREAMS = {"notices": {"topic": "notices", "modes": ["every", "latest"], "public": True}}


class Standstill:
    """Whether readers stand still; begun, no fetch of before is under way."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._begun = asyncio.Event()

    async def begin(self) -> None:
        self.is_wanted = True
        await self._begun.wait()

    def end(self) -> None:
        self.is_wanted = False
        self._begun.clear()

    async def stand(self, seconds: float) -> Fetched:
        self._begun.set()
        await asyncio.sleep(seconds)
        return Fetched((), {})


class StandingReader(PassingReader):
    """Fetches nothing during a standstill; asked for ends, it answers."""

    def __init__(self, reader: RecordReader, standstill: Standstill) -> None:
        super().__init__(reader)
        self._standstill = standstill

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        if self._standstill.is_wanted:
            return await self._standstill.stand(max_wait)
        return await super().fetch(max_records=max_records, max_wait=max_wait, gather=gather)


@pytest.fixture
def standstill() -> Standstill:
    return Standstill()


@pytest.fixture
async def standing_gateway(
    topics: MemoryTopics, standstill: Standstill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """Measures its lag all the time, and lets go of partitions at once."""
    monkeypatch.setattr("tidewire_gateway.reader._MEASURE_INTERVAL", 0.0)
    broker = topics.broker
    clients = Clients(lambda: StandingReader(broker.reader(), standstill), broker.admin)
    async with running_gateway(write_streams(tmp_path, STREAMS), clients, linger=0.05) as running:
        yield running


def shown(gateway: Gateway) -> dict[str, float]:
    """Every series, by its name with its labels."""
    text: str = gateway.node.instruments.metrics.render()[0].decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("tidewire_"))
    return {name: float(value) for name, _, value in lines}


def is_shown(gateway: Gateway, **expected: float) -> Callable[[], bool]:
    return lambda: all(
        shown(gateway)[f"tidewire_{name}"] == value for name, value in expected.items()
    )


async def test_pong_after_a_flush_tells_how_old_things_are_at_the_client_at_most(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    def samples() -> float:
        return shown(gateway)["tidewire_client_freshness_seconds_count"]

    async with (
        make_gateway(limits={"ping_interval": 0.05}) as gateway,
        gateway.connect() as client,
    ):
        await client.subscribe("notices", mode="every", interval_ms=0)
        await eventually(lambda: shown(gateway)["tidewire_ping_rtt_seconds_count"] >= 3)
        assert samples() == 0, "nothing was flushed"
        began_at = time.time()
        while not samples():
            ago = int((time.time() - 2.0) * 1000)
            await topics.publish("notices", "k", 1, ts=ago)
            await asyncio.sleep(0.01)  # the pace of events, not a wait
        found = shown(gateway)
        took = time.time() - began_at
    assert found['tidewire_client_freshness_seconds_bucket{le="1.0"}'] == 0
    count = found["tidewire_client_freshness_seconds_count"]
    assert 2.0 <= found["tidewire_client_freshness_seconds_sum"] / count <= 2.01 + took


async def test_subscriptions_are_counted_by_state_once_a_second(
    make_gateway: Any,
) -> None:
    def count_of(state: str) -> float:
        return shown(gateway)[f'tidewire_subscriptions_by_state{{state="{state}"}}']

    async with make_gateway() as gateway:
        async with gateway.connect() as client:
            subscribed = await client.subscribe("notices", mode="every")
            await client.subscribe("flights")
            await eventually(lambda: count_of("attached") == 2)
            await client.send("update_subscription", sub=subscribed["sub"], paused=True)
            await eventually(lambda: (count_of("attached"), count_of("paused")) == (1, 1))
        await eventually(lambda: (count_of("attached"), count_of("paused")) == (0, 0))


async def test_lag_grows_while_nothing_is_read_and_is_gone_once_it_was(
    standing_gateway: Gateway, topics: MemoryTopics, standstill: Standstill
) -> None:
    def lag_time() -> float:
        return shown(standing_gateway)["tidewire_consumer_lag_seconds"]

    level = is_shown(standing_gateway, consumer_lag_records=0, consumer_lag_seconds=0)
    async with standing_gateway.connect() as client:
        await client.subscribe("notices", mode="every", interval_ms=0)
        await topics.publish("notices", "k", 1)
        await client.expect("updates")
        await eventually(level)
        await standstill.begin()
        await topics.publish("notices", "k", 2)
        await eventually(lambda: shown(standing_gateway)["tidewire_consumer_lag_records"] == 1)
        first = await eventually(lag_time)
        await eventually(lambda: lag_time() > first)
        standstill.end()
        await client.expect("updates")
        await eventually(level)


async def test_who_reads_nothing_does_not_lag(
    standing_gateway: Gateway, topics: MemoryTopics, standstill: Standstill
) -> None:
    async with standing_gateway.connect() as client:
        await client.subscribe("notices", mode="every", interval_ms=0)
        await standstill.begin()
        await topics.publish("notices", "k", 1)
        await eventually(lambda: shown(standing_gateway)["tidewire_consumer_lag_seconds"] > 0)
    nothing = {"partitions_assigned": 0, "consumer_lag_records": 0, "consumer_lag_seconds": 0}
    await eventually(is_shown(standing_gateway, **nothing))


async def test_resume_is_counted_by_outcome_and_source(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    async with make_gateway() as gateway:
        for _ in range(3):
            await topics.publish("notices", "k", 1)
        async with gateway.connect() as client:
            here = await client.subscribe("notices", mode="every")
            await client.send("unsubscribe", sub=here["sub"])
            await client.expect("unsubscribed")
            back = {**here["position"], "offsets": {"0": 1}}
            await client.subscribe("notices", mode="every", since=back)
        found = {n: v for n, v in shown(gateway).items() if n.startswith("tidewire_resumes_total")}
    assert {name: value for name, value in found.items() if value} == {
        'tidewire_resumes_total{outcome="exact",source="ring"}': 1
    }


async def test_exemplars_are_for_those_who_ask_for_openmetrics(gateway: Gateway) -> None:
    metrics = gateway.node.instruments.metrics
    metrics.histogram("freshness_seconds").observe(0.02, TRACE_ID)
    transport = httpx.ASGITransport(create_internal_app(gateway.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
        plain = await client.get("/metrics")
        accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        rich = await client.get("/metrics", headers=accept)
    assert plain.headers["content-type"].startswith("text/plain")
    assert TRACE_ID not in plain.text
    assert rich.headers["content-type"].startswith("application/openmetrics-text")
    assert f'{{le="0.025"}} 1.0 # {{trace_id="{TRACE_ID}"}} 0.02' in rich.text
