"""A slow client costs only itself: bounded bytes, the newest values, and the others notice nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from harness.certificate import Certificate, make_certificate
from harness.faults import Faults, fault_proxy
from harness.gateway import FrameClient, Gateway, MemoryTopics
from harness.slow_clients import BytesHeld, Flow, SlowReader, Viewer, linked_client
from harness.waiting import eventually
from tidewire_gateway.adopted import AdoptedWebSocket
from tidewire_gateway.connection import Connection
from tidewire_gateway.core.limits import Limits

BOUND = Limits().high_water + Limits().max_frame_out
THIN_LINK = 256_000 / 8
SLOW_READER = 1000.0
SUBSCRIBE: dict[str, Any] = {"channel": "flights", "mode": "latest", "interval_ms": 100}


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def certificate(request: pytest.FixtureRequest) -> Certificate | None:
    if request.param == "plain":
        return None
    made: Certificate = request.getfixturevalue("own_certificate")
    return made


@contextlib.asynccontextmanager
async def watching(viewer: Viewer, client: FrameClient) -> AsyncIterator[asyncio.Task[None]]:
    """Read what comes; the task ends with the connection."""
    task = asyncio.create_task(viewer.watch(client))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Healthy:
    """A client that reads everything: each value of each key, in order."""

    def __init__(self, flow: Flow) -> None:
        self.seen: dict[str, list[int]] = {key: [] for key in flow.keys}
        self._flow = flow

    def has_all(self) -> bool:
        wanted = list(range(1, self._flow.tick + 1))
        return all(seen == wanted for seen in self.seen.values())

    async def watch(self, client: FrameClient) -> None:
        while True:
            for event in (await client.receive())["payload"].get("events", ()):
                self.seen[event["key"]].append(event["data"]["n"])


@contextlib.asynccontextmanager
async def healthy_client(
    gateway: Gateway, flow: Flow, certificate: Certificate | None = None
) -> AsyncIterator[Healthy]:
    """Beside the slow one; leaving the block it must have got everything."""
    context: dict[str, Any] = {}
    if certificate is not None:
        context["ssl"] = certificate.client_context()
    async with gateway.connect(**context) as client:
        await client.subscribe("flights", mode="every")
        healthy = Healthy(flow)
        task = asyncio.create_task(healthy.watch(client))
        try:
            yield healthy
            await eventually(healthy.has_all, what="everything to reach the healthy client")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def the_other(gateway: Gateway, known: set[Connection]) -> Connection:
    (connection,) = gateway.node.connections - known
    return connection


def counted(gateway: Gateway, name: str) -> float:
    for line in gateway.node.instruments.metrics.render()[0].decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


async def test_reader_of_1_kb_a_second_gets_new_values_in_bounded_bytes(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    flow = Flow(topics, keys=4, size=500, interval=0.1)
    held = BytesHeld()
    viewer = Viewer(flow)
    async with make_gateway() as gateway, healthy_client(gateway, flow):
        known = set(gateway.node.connections)
        requests = [{"v": 1, "type": "subscribe", "payload": SUBSCRIBE}]
        async with SlowReader.reading(
            gateway.port, viewer, rate=SLOW_READER, requests=requests
        ) as reader:
            await eventually(lambda: "subscribed" in viewer.kinds)
            async with held.of(the_other(gateway, known)), flow.flowing():
                await eventually(lambda: counted(gateway, "tidewire_connections_congested") == 1)
                reader.rate = 20 * SLOW_READER  # over with what was written before it was noticed
                await eventually(lambda: "lagging" in viewer.states)
                reader.rate = SLOW_READER
                begun = len(viewer.sightings)
                await eventually(lambda: len(viewer.sightings) >= begun + 8)
            reader.rate = 20 * SLOW_READER
            await eventually(viewer.is_level)
            await eventually(lambda: viewer.states[-1] == "live")
    steady = [s.behind * flow.interval for s in viewer.sightings[begun:]]
    assert held.most <= BOUND
    assert max(steady) < 10


async def test_link_of_256_kbit_a_second_shows_values_a_few_seconds_old(
    make_gateway: Any, topics: MemoryTopics, certificate: Certificate | None
) -> None:
    flow = Flow(topics, keys=40, size=400, interval=0.1)
    held = BytesHeld()
    viewer = Viewer(flow)
    async with (
        make_gateway(certificate=certificate) as gateway,
        healthy_client(gateway, flow, certificate),
        fault_proxy(gateway.port, down=Faults(latency=0.02, bandwidth=THIN_LINK)) as proxy,
    ):
        known = set(gateway.node.connections)
        async with linked_client(gateway, proxy.port, certificate) as client:
            await client.subscribe(**SUBSCRIBE)
            connection = the_other(gateway, known)
            async with watching(viewer, client), held.of(connection):
                async with flow.flowing():
                    await eventually(lambda: "lagging" in viewer.states)
                    begun = len(viewer.sightings)
                    await eventually(lambda: len(viewer.sightings) >= begun + 200)
                steady = [s.behind * flow.interval for s in viewer.sightings[begun:]]
                await eventually(viewer.is_level)
                await eventually(lambda: viewer.states[-1] == "live")
    assert held.most <= BOUND
    assert max(steady) < 5


async def test_lagging_client_is_handed_one_piece_at_a_time(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    """80 KB are due to it once it has drained; more than a piece would be old before it arrived."""
    flow = Flow(topics, keys=40, size=2000, interval=0.1)
    held = BytesHeld()
    viewer = Viewer(flow)
    async with (
        make_gateway() as gateway,
        fault_proxy(gateway.port, down=Faults(bandwidth=4 * THIN_LINK)) as proxy,
        linked_client(gateway, proxy.port, None) as client,
    ):
        await client.subscribe(**SUBSCRIBE)
        connection = the_other(gateway, set())
        async with watching(viewer, client):
            while not connection.is_congested:
                await flow.publish()
                await asyncio.sleep(0)
            await flow.publish()
            await eventually(lambda: "lagging" in viewer.states)
            async with held.of(connection):
                await eventually(viewer.is_level)
    assert held.most < Limits().high_water / 2


async def test_stopped_reader_is_aborted_and_resumes_where_it_stood(
    make_gateway: Any, topics: MemoryTopics, certificate: Certificate | None
) -> None:
    flow = Flow(topics, keys=40, size=400, interval=0.05)
    held = BytesHeld()
    viewer = Viewer(flow)
    async with (
        make_gateway(certificate=certificate, limits={"stall_timeout": 1.0}) as gateway,
        healthy_client(gateway, flow, certificate),
        fault_proxy(gateway.port) as proxy,
    ):
        known = set(gateway.node.connections)
        async with linked_client(gateway, proxy.port, certificate) as client:
            await client.subscribe(**SUBSCRIBE)
            connection = the_other(gateway, known)
            async with watching(viewer, client) as end, held.of(connection), flow.flowing():
                await eventually(lambda: len(viewer.sightings) > 100)
                proxy.down = Faults(is_black_hole=True)
                await eventually(lambda: gateway.node.connections == known)
                proxy.heal()
                await end
            assert client.connection.close_code == 1006
        assert counted(gateway, "tidewire_slow_closes_total") == 1
        async with linked_client(gateway, proxy.port, certificate) as client:
            answer = await client.subscribe(**SUBSCRIBE, since=viewer.position)
            assert answer["recovered"] == "changes"
            async with watching(viewer, client):
                await eventually(viewer.is_level)
    assert held.most <= BOUND


async def test_stopped_reader_of_a_large_table_is_held_to_the_bound(
    make_gateway: Any, topics: MemoryTopics, certificate: Certificate | None
) -> None:
    """4 MB are due at once: it is handed no more than its socket takes."""
    flow = Flow(topics, keys=200, size=20_000, interval=1.0)
    await flow.publish()
    held = BytesHeld()
    async with (
        make_gateway(certificate=certificate, limits={"stall_timeout": 1.0}) as gateway,
        fault_proxy(gateway.port) as proxy,
        linked_client(gateway, proxy.port, certificate) as client,
        held.of(the_other(gateway, set())),
    ):
        proxy.down = Faults(is_black_hole=True)
        await client.send("subscribe", **SUBSCRIBE)
        await eventually(lambda: counted(gateway, "tidewire_queued_bytes_max") > 0)
        most_seen = counted(gateway, "tidewire_queued_bytes")
        await eventually(lambda: not gateway.node.connections)
        await eventually(lambda: counted(gateway, "tidewire_queued_bytes") == 0)
    assert Limits().high_water < held.most <= BOUND
    assert 0 < most_seen <= BOUND


async def test_bytes_that_wait_too_long_congest_below_the_high_water_mark(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    flow = Flow(topics, keys=4, size=500, interval=0.2)
    async with (
        make_gateway(limits={"high_water": 10_000_000}) as gateway,
        fault_proxy(gateway.port) as proxy,
        linked_client(gateway, proxy.port, None) as client,
    ):
        await client.subscribe(**SUBSCRIBE)
        (connection,) = gateway.node.connections
        proxy.down = Faults(is_black_hole=True)
        async with flow.flowing():
            await eventually(lambda: connection.is_congested)
        async with watching(Viewer(flow), client):
            proxy.heal()
            await eventually(lambda: not connection.is_congested)


@pytest.mark.parametrize("is_flowing", [False, True])
async def test_half_open_connection_is_found_within_two_heartbeats(
    make_gateway: Any, topics: MemoryTopics, *, is_flowing: bool
) -> None:
    """Whether events flow or not: the second ping without an answer is the last."""
    flow = Flow(topics, keys=4, size=500, interval=0.1)
    async with (
        make_gateway(limits={"ping_interval": 0.4}) as gateway,
        fault_proxy(gateway.port) as proxy,
        linked_client(gateway, proxy.port, None) as client,
    ):
        await client.subscribe(**SUBSCRIBE)
        (connection,) = gateway.node.connections
        pings = count_pings(connection)
        await eventually(lambda: counted(gateway, "tidewire_ping_rtt_seconds_count") >= 2)
        async with flow.flowing() if is_flowing else contextlib.nullcontext():
            proxy.cut()
            pings.clear()
            await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 0)
        assert 0 < len(pings) <= Limits().unanswered_pings


def count_pings(connection: Connection) -> list[bytes]:
    """The nonces of all pings from now on."""
    pings: list[bytes] = []

    class Counting(AdoptedWebSocket):
        __slots__ = ()

        def ping(self, nonce: bytes, frames: bytes = b"") -> None:
            pings.append(nonce)
            super().ping(nonce, frames)

    connection._protocol.__class__ = Counting
    return pings
