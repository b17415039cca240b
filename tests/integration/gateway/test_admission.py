"""Handshakes that a node refuses before the upgrade, and what its health says then."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

from harness.gateway import Gateway, MemoryTopics
from harness.waiting import eventually
from tidewire.system.vitals import resident_memory
from tidewire_gateway.internal_app import create_internal_app


async def refusal(gateway: Gateway) -> tuple[dict[str, Any], int]:
    """The problem that a handshake was refused with, and its Retry-After in seconds."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(gateway.ws):
            pass
    response = refused.value.response
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(response.body)
    assert problem["status"] == 503
    return problem, int(response.headers["Retry-After"])


def refusals(gateway: Gateway, outcome: str) -> float:
    metrics: str = gateway.app.state.instruments.metrics.render()[0].decode()
    (line,) = [
        line
        for line in metrics.splitlines()
        if line.startswith(f'tidewire_handshakes_total{{outcome="{outcome}"}}')
    ]
    return float(line.split()[-1])


@contextlib.asynccontextmanager
async def inside(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_internal_app(gateway.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
        yield client


async def test_full_node_refuses_before_the_upgrade_until_a_place_is_free(
    make_gateway: Any,
) -> None:
    async with make_gateway(limits={"max_connections": 1}) as gateway, inside(gateway) as client:
        assert (await client.get("/readyz")).status_code == 200
        async with gateway.connect() as accepted:
            problem, _ = await refusal(gateway)
            assert problem["type"] == "urn:tidewire:problem:overloaded-connections"
            not_ready = await client.get("/readyz")
            assert (not_ready.status_code, not_ready.json()) == (503, {"status": "overloaded"})
            await accepted.subscribe("flights")
        assert refusals(gateway, "overloaded_connections") == 1
        await eventually(lambda: not gateway.node.connections)
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        async with gateway.connect():
            pass


async def test_retry_after_is_spread_so_that_the_refused_do_not_come_back_together(
    make_gateway: Any,
) -> None:
    async with make_gateway(limits={"max_connections": 1}) as gateway, gateway.connect():
        seconds = {(await refusal(gateway))[1] for _ in range(40)}
    assert seconds <= {1, 2, 3, 4, 5}
    assert len(seconds) > 1


async def test_handshake_is_in_flight_until_its_welcome(make_gateway: Any) -> None:
    async with (
        make_gateway(limits={"max_handshakes": 1}) as gateway,
        gateway.connect(hello=False) as slow,
    ):
        problem, _ = await refusal(gateway)
        assert problem["type"] == "urn:tidewire:problem:overloaded-handshakes"
        await slow.hello()
        async with gateway.connect(hello=False):
            await refusal(gateway)
        await eventually(lambda: len(gateway.node.connections) == 1)
        async with gateway.connect():
            pass


async def test_crowd_that_is_too_much_at_once_is_told_to_come_in_turn(make_gateway: Any) -> None:
    limits = {"max_handshakes": 1, "handshakes_per_second": 2, "handshakes_burst": 100}
    async with make_gateway(limits=limits) as gateway, gateway.connect(hello=False):
        seconds = [(await refusal(gateway))[1] for _ in range(60)]
    assert max(seconds) > 20  # 2 a second: some are to wait so long
    assert max(seconds[:10]) <= 12


async def test_late_loop_refuses_until_it_has_been_in_time_for_a_while(make_gateway: Any) -> None:
    async with make_gateway(limits={"max_loop_lag": 0.3}) as gateway:
        await eventually(lambda: gateway.node.overload() is None)
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - the loop is to be late
        await eventually(lambda: gateway.node.overload() is not None)
        problem, _ = await refusal(gateway)
        assert problem["type"] == "urn:tidewire:problem:overloaded-loop"
        await eventually(lambda: gateway.node.overload() is None)
        async with gateway.connect():
            pass


async def test_node_short_of_memory_refuses(make_gateway: Any) -> None:
    async with make_gateway(limits={"max_memory": 1024}) as gateway:
        await eventually(lambda: gateway.node.overload() is not None)
        problem, _ = await refusal(gateway)
        assert problem["type"] == "urn:tidewire:problem:overloaded-memory"


def test_resident_memory_moves_with_what_the_process_holds() -> None:
    before = resident_memory()
    held = bytearray(b"x" * (64 << 20))
    assert resident_memory() - before > 32 << 20
    del held


async def test_node_without_its_broker_is_ready(make_gateway: Any, topics: MemoryTopics) -> None:
    topics.broker.set_available(False)
    async with make_gateway() as gateway, inside(gateway) as client:
        assert (await client.get("/startupz")).json() == {"status": "started"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
