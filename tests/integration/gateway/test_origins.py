"""Pages that may connect and read, and those that may not."""

import json
from typing import Any

import httpx
import pytest
import websockets
from websockets.http11 import Response

from harness.gateway import Gateway, MemoryTopics

APP = "https://app.example.org"
ELSEWHERE = "https://elsewhere.example"


async def status(gateway: Gateway, origin: str | None, **options: Any) -> int:
    """Of a handshake; a refusal says what it is for."""
    response = await answer(gateway, origin, **options)
    if response is None:
        return 101
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(response.body)
    assert problem["type"] == "urn:tidewire:problem:foreign-origin"
    assert "TIDEWIRE_GATEWAY__ORIGINS" in problem["detail"]
    return response.status_code


async def answer(gateway: Gateway, origin: str | None, **options: Any) -> Response | None:
    """What a handshake was refused with; None where it was not."""
    try:
        async with gateway.connect(origin=origin, **options):
            return None
    except websockets.InvalidStatus as refused:
        return refused.response


def counted(gateway: Gateway, series: str) -> float:
    metrics: str = gateway.app.state.instruments.metrics.render()[0].decode()
    (line,) = [line for line in metrics.splitlines() if line.startswith(f"tidewire_{series} ")]
    return float(line.split()[-1])


async def test_without_a_list_pages_of_the_node_itself_may_connect(gateway: Gateway) -> None:
    assert await status(gateway, gateway.http) == 101
    assert await status(gateway, None) == 101
    assert await status(gateway, f"http://127.0.0.1:{gateway.port + 1}") == 403
    assert await status(gateway, f"http://localhost:{gateway.port}") == 403
    assert await status(gateway, ELSEWHERE) == 403
    assert await status(gateway, "null") == 403
    assert counted(gateway, 'handshakes_total{outcome="forbidden_origin"}') == 4


async def test_list_is_exact(make_gateway: Any) -> None:
    async with make_gateway(origins=(APP, "http://127.0.0.1:3000")) as gateway:
        assert await status(gateway, APP) == 101
        assert await status(gateway, "http://127.0.0.1:3000") == 101
        assert await status(gateway, None) == 101
        assert await status(gateway, gateway.http) == 403
        assert await status(gateway, f"{APP}.evil.net") == 403
        assert await status(gateway, "http://app.example.org") == 403


async def test_unusual_upgrade_is_asked_for_its_origin_too(make_gateway: Any) -> None:
    """It goes through the web server's own WebSocket side."""
    odd = {"additional_headers": [("X-Twice", "a"), ("X-Twice", "b")]}
    async with make_gateway(origins=(APP,)) as gateway:
        assert await status(gateway, APP, **odd) == 101
        assert await status(gateway, ELSEWHERE, **odd) == 403
        twice = await answer(gateway, APP, additional_headers={"Origin": ELSEWHERE})
        assert twice is not None
        assert twice.status_code == 400


async def test_every_page_may_connect_where_that_was_said(make_gateway: Any) -> None:
    async with make_gateway(origins=("*",)) as gateway:
        assert await status(gateway, ELSEWHERE) == 101
        assert await status(gateway, "null") == 101


async def test_page_that_may_ask_reads_a_channel_and_its_tag(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    await topics.publish("flights", "JFK/1", {"n": 1})
    async with make_gateway(origins=(APP,)) as gateway, httpx.AsyncClient() as client:
        url = f"{gateway.http}/v1/channels/flights"
        read = await client.get(url, headers={"Origin": APP})
        assert read.status_code == 200
        assert read.headers["Access-Control-Allow-Origin"] == APP
        assert "ETag" in read.headers["Access-Control-Expose-Headers"]
        assert read.headers["Vary"] == "Authorization, Origin"
        assert "Access-Control-Allow-Credentials" not in read.headers
        again = {"Origin": APP, "If-None-Match": read.headers["ETag"]}
        unchanged = await client.get(url, headers=again)
        assert unchanged.status_code == 304
        assert unchanged.headers["Access-Control-Allow-Origin"] == APP
        secret = await client.get(url.replace("flights", "secret"), headers={"Origin": APP})
        assert secret.status_code == 401
        assert secret.headers["Access-Control-Allow-Origin"] == APP  # so that it can tell why


async def test_page_that_may_ask_is_told_so_before_it_sends_its_token(make_gateway: Any) -> None:
    asks = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    async with make_gateway(origins=(APP,)) as gateway, httpx.AsyncClient() as client:
        url = f"{gateway.http}/v1/channels/flights"
        preflight = await client.options(url, headers={"Origin": APP, **asks})
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == APP
        assert preflight.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        refused = await client.options(url, headers={"Origin": ELSEWHERE, **asks})
        assert refused.status_code == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
        plain = await client.options(url, headers={"Origin": APP})
        assert plain.status_code == 405


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_page_that_may_not_ask_reads_nothing(
    make_gateway: Any, topics: MemoryTopics, method: str
) -> None:
    await topics.publish("flights", "JFK/1", {"n": 1})
    async with make_gateway(origins=(APP,)) as gateway, httpx.AsyncClient() as client:
        url = f"{gateway.http}/v1/channels/flights"
        refused = await client.request(method, url, headers={"Origin": ELSEWHERE})
        assert refused.status_code == 403
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Origin" not in refused.headers
        assert counted(gateway, 'one_off_reads_total{outcome="forbidden_origin"}') == 1


async def test_who_names_no_origin_reads_as_before(gateway: Gateway) -> None:
    async with httpx.AsyncClient() as client:
        read = await client.get(f"{gateway.http}/v1/channels/flights")
        own = await client.get(
            f"{gateway.http}/v1/channels/flights", headers={"Origin": gateway.http}
        )
    assert (read.status_code, own.status_code) == (200, 200)
    assert "Access-Control-Allow-Origin" not in read.headers
    assert read.headers["Vary"] == "Authorization, Origin"
