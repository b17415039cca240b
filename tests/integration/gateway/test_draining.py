"""A node that drains: who is told when, who is moved when, and that nothing is lost on the way."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from harness.gateway import FrameClient, Gateway, MemoryTopics
from harness.gateway_process import gateway_environment
from harness.ports import LOOPBACK
from harness.waiting import eventually
from tidewire.protocol.codes import SUBPROTOCOL
from tidewire_gateway.drain import Drain
from tidewire_gateway.internal_app import create_internal_app

NO_TIME = {"drain_delay": 0.0, "drain_window": 2.0}


def drain_of(gateway: Gateway) -> Drain:
    drain: Drain = gateway.app.state.drain
    return drain


@contextlib.asynccontextmanager
async def inside(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_internal_app(gateway.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
        yield client


async def messages_until(client: FrameClient, kind: str) -> list[dict[str, Any]]:
    """Everything up to the first message of this type, which is the last."""
    seen = [await client.receive()]
    while seen[-1]["type"] != kind:
        seen.append(await client.receive())
    return seen


def offsets(messages: list[dict[str, Any]]) -> list[int]:
    return [
        event["offset"][1]
        for message in messages
        if message["type"] == "updates"
        for event in message["payload"]["events"]
    ]


async def offsets_through(client: FrameClient, last: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] < last:
        seen += offsets(await messages_until(client, "updates"))
    return seen


async def test_drain_is_begun_once_and_told_with_its_plan(make_gateway: Any) -> None:
    async with make_gateway(drain_delay=5.0) as gateway, inside(gateway) as client:
        async with gateway.connect():
            begun = await client.post("/internal/drain")
            again = await client.post("/internal/drain")
        assert (begun.status_code, again.status_code) == (202, 200)
        assert begun.json() == again.json()
        assert begun.json() == {
            "status": "draining",
            "connections": 1,
            "delay_ms": 5000,
            "window_ms": 30_000,
        }


async def test_node_is_not_ready_at_once_and_still_accepts_while_load_balancers_learn_it(
    make_gateway: Any,
) -> None:
    async with make_gateway(drain_delay=5.0) as gateway, inside(gateway) as client:
        await client.post("/internal/drain")
        not_ready = await client.get("/readyz")
        assert (not_ready.status_code, not_ready.json()) == (503, {"status": "draining"})
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/startupz")).status_code == 200
        async with gateway.connect() as late:
            await late.subscribe("flights")
        metrics = (await client.get("/metrics")).text
        assert "tidewire_draining 1.0" in metrics
        assert gateway.node.is_draining


async def test_nobody_is_accepted_once_clients_are_moved(make_gateway: Any) -> None:
    async with make_gateway(**NO_TIME) as gateway, gateway.connect() as client:
        drain_of(gateway).begin()
        await client.expect("goaway")
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(gateway.ws):
                pass
        assert refused.value.response.status_code == 503
        assert "Retry-After" in refused.value.response.headers
        problem = json.loads(refused.value.response.body)
        assert problem["type"] == "urn:tidewire:problem:draining"


def goaways(gateway: Gateway) -> float:
    metrics: str = gateway.app.state.instruments.metrics.render()[0].decode()
    (line,) = [one for one in metrics.splitlines() if one.startswith("tidewire_goaways_total ")]
    return float(line.split()[-1])


async def test_each_client_is_told_at_its_own_moment(make_gateway: Any) -> None:
    async with (
        make_gateway(drain_delay=0.0, drain_window=6000.0) as gateway,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(gateway.connect()) for _ in range(10)]
        drain_of(gateway).begin()
        told = [asyncio.create_task(client.expect("goaway")) for client in clients]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        (first,) = [task.result() for task in told if task.done()]
        assert first["reason"] == "draining"
        assert (
            3_200_000 < first["after_ms"] <= 3_300_000
        )  # the second half, and its own tenth of it
        assert goaways(gateway) == 1  # the next one is told in five minutes
        for task in told:
            task.cancel()


async def test_clients_that_stay_are_closed_and_the_node_ends(make_gateway: Any) -> None:
    async def ignore(client: FrameClient) -> int | None:
        await client.expect("goaway")
        return (await client.closed())[0]

    async with make_gateway(**NO_TIME) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connect()) for _ in range(150)]
        drain_of(gateway).begin()
        codes = await asyncio.gather(*[ignore(client) for client in clients])
        await eventually(gateway.is_stopping)
        assert set(codes) == {3001}
        assert goaways(gateway) == 150


async def test_node_ends_as_soon_as_the_last_client_has_moved(make_gateway: Any) -> None:
    async with make_gateway(drain_delay=0.0, drain_window=600.0) as gateway:
        async with gateway.connect() as client:
            drain_of(gateway).begin()
            goaway = await client.expect("goaway")
            assert 590_000 < goaway["after_ms"] <= 600_000
            assert not gateway.is_stopping()
        await eventually(gateway.is_stopping)


async def test_node_without_clients_ends_after_the_delay(make_gateway: Any) -> None:
    async with make_gateway(drain_delay=0.0, drain_window=600.0) as gateway:
        drain_of(gateway).begin()
        await eventually(gateway.is_stopping)


async def test_client_without_its_welcome_is_told_behind_it(make_gateway: Any) -> None:
    async with make_gateway(**NO_TIME) as gateway, gateway.connect(hello=False) as client:
        drain_of(gateway).begin()
        await eventually(lambda: gateway.node.overload() is not None)
        (connection,) = gateway.node.connections
        connection.go_away(1.5, "draining")
        await client.hello()
        assert 0 < (await client.expect("goaway"))["after_ms"] <= 1500
        assert (await client.closed())[0] == 3001


async def test_client_that_was_to_move_for_its_age_is_told_its_new_moment(
    make_gateway: Any,
) -> None:
    limits = {"connection_age": 0.05, "connection_age_jitter": 0, "goaway_window": 600}
    async with make_gateway(limits=limits, **NO_TIME) as gateway, gateway.connect() as client:
        assert (await client.expect("goaway"))["reason"] == "connection age"
        drain_of(gateway).begin()
        goaway = await client.expect("goaway")
        assert (goaway["reason"], goaway["after_ms"] <= 2000) == ("draining", True)
        assert (await client.closed())[0] == 3001


async def test_client_that_moves_to_another_node_loses_nothing(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    """Make before break: it takes what the old node still sends until the new one has answered."""
    published = 0

    async def publish_until(stopped: asyncio.Event) -> None:
        nonlocal published
        while not stopped.is_set():
            await topics.publish("notices", "k", published)
            published += 1
            await asyncio.sleep(0.002)

    async with make_gateway(**NO_TIME) as old, make_gateway() as new:
        stopped = asyncio.Event()
        publishing = asyncio.create_task(publish_until(stopped))
        async with old.connect() as leaving:
            subscribed = await leaving.subscribe("notices", mode="every")
            seen = await messages_until(leaving, "updates")
            drain_of(old).begin()
            seen += await messages_until(leaving, "goaway")
            updates = [m["payload"] for m in seen if m["type"] == "updates"]
            position = updates[-1]["position"]
            async with new.connect() as arrived:
                resumed = await arrived.subscribe("notices", mode="every", since=position)
                assert resumed["recovered"] == "exact"
                stopped.set()
                await publishing
                await topics.publish("notices", "k", "last")
                first = offsets(seen)
                second = await offsets_through(arrived, published)
                still = await offsets_through(leaving, published)
        await eventually(old.is_stopping)
        everything = list(range(subscribed["position"]["offsets"]["0"], published + 1))
        assert first + second == everything
        assert first + still == everything


async def test_what_was_written_before_the_close_arrives(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    async with (
        make_gateway(drain_delay=0.0, drain_window=0.5) as gateway,
        gateway.connect() as client,
    ):
        await client.subscribe("notices", mode="every")
        drain_of(gateway).begin()
        seen = await messages_until(client, "goaway")
        written = 0
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await topics.publish("notices", "k", written)
                written += 1
                seen += await messages_until(client, "updates")
        assert client.connection.close_code == 3001
        got = offsets(seen)
        assert got == list(range(got[0], got[0] + len(got)))
        assert len(got) >= written - 1


async def test_client_that_takes_nothing_does_not_keep_the_node(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    window, grace = 1.0, 5.0
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(
                make_gateway(drain_delay=0.0, drain_window=window)
            )
            sock.connect((LOOPBACK, gateway.port))
            client = await stack.enter_async_context(gateway.connect(sock=sock))
            await client.subscribe("notices", mode="every")
            client.connection.transport.pause_reading()
            (connection,) = gateway.node.connections
            while not connection.is_congested:
                await topics.publish("notices", "k", "x" * 50_000)
                await asyncio.sleep(0)
            drain_of(gateway).begin()
            async with asyncio.timeout(window + grace):
                await gateway.ended.wait()
            client.connection.transport.abort()


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text("streams: {flights: {topic: flights, public: true}}")
    return path


@contextlib.contextmanager
def process(streams: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], Any, Path]]:
    """A node of its own, without a broker; its ready line and the file of what it says."""
    log = streams.with_name("node.log")
    with log.open("w") as errors:
        running: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "tidewire_gateway"],
            env=gateway_environment(streams, READY_JSON="1", **variables),
            cwd=streams.parent,
            text=True,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert running.stdout is not None
        yield running, json.loads(running.stdout.readline()), log
    finally:
        running.kill()
        running.communicate(timeout=10)


@contextlib.asynccontextmanager
async def client_of(ready: Any) -> AsyncIterator[FrameClient]:
    async with websockets.connect(
        ready["ws"], subprotocols=[websockets.Subprotocol(SUBPROTOCOL)], compression=None
    ) as connection:
        client = FrameClient(connection)
        await client.hello()
        yield client


async def ended(running: subprocess.Popen[str], *, within: float) -> int:
    return await asyncio.to_thread(running.wait, within)


async def test_sigterm_moves_the_clients_and_ends_the_process_in_time(streams: Path) -> None:
    loop = asyncio.get_running_loop()
    with process(streams, DRAIN_DELAY="0.5", DRAIN_WINDOW="2") as (running, ready, log):
        async with client_of(ready) as deaf, client_of(ready) as obedient:
            began_at = loop.time()
            running.send_signal(signal.SIGTERM)
            first, second = [
                (await messages_until(client, "goaway"))[-1] for client in (deaf, obedient)
            ]
            assert {first["payload"]["reason"], second["payload"]["reason"]} == {"draining"}
            await obedient.connection.close()
            assert (await deaf.closed())[0] == 3001
        assert await ended(running, within=began_at + 0.5 + 2 + 5 - loop.time()) == 0
        told = log.read_text()
    assert '"event": "draining"' in told or '"event":"draining"' in told
    assert '"moved":1,"closed":1' in told.replace('": ', '":').replace(", ", ",")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_second_signal_ends_a_drain_at_once(streams: Path, number: signal.Signals) -> None:
    with process(streams, DRAIN_DELAY="600") as (running, ready, _):
        async with client_of(ready) as client, httpx.AsyncClient() as http:
            running.send_signal(signal.SIGTERM)

            async def is_draining() -> bool:
                health = await http.get(f"{ready['internal']}/readyz")
                return bool(health.json() == {"status": "draining"})

            await eventually(is_draining)
            running.send_signal(number)
            assert (await client.closed())[0] == 3001
        assert await ended(running, within=8) == 0


async def test_sigterm_joins_a_drain_that_was_asked_for_over_http(streams: Path) -> None:
    with process(streams, DRAIN_DELAY="0", DRAIN_WINDOW="600") as (running, ready, _):
        async with client_of(ready) as client:
            async with httpx.AsyncClient() as http:
                begun = await http.post(f"{ready['internal']}/internal/drain")
                assert begun.status_code == 202
                await messages_until(client, "goaway")
                running.send_signal(signal.SIGTERM)
                assert (await http.post(f"{ready['internal']}/internal/drain")).status_code == 200
            with pytest.raises(TimeoutError):  # a node that ends closes it within a tenth of that
                await asyncio.wait_for(client.connection.wait_closed(), 1.0)
            await client.send("subscribe", channel="nowhere")
            assert (await client.expect("error"))["code"] == "unknown_channel"
        assert await ended(running, within=8) == 0
