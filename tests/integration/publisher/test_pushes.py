import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.waiting import eventually
from integration.publisher.serving import KEY, TRACE, publisher, refused
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.memory import MemoryBroker
from tidewire.targeting.registry_http import HttpRegistry
from tidewire.telemetry.metrics import create_metrics
from tidewire_publisher.core.push import DeviceOutcome, Push
from tidewire_publisher.pusher import MAX_CALLS, Pusher

EPOCH = "e" * 32
Answer = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def place(node: str, *connections: str) -> dict[str, Any]:
    return {
        "node": node,
        "slot": 0,
        "epoch": EPOCH,
        "address": f"http://{node}:9090/",
        "connections": list(connections),
    }


def registry_of(places: Mapping[str, list[dict[str, Any]]]) -> Answer:
    """A registry that knows these users."""

    async def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/lookup"
        users = json.loads(request.content)["users"]
        return httpx.Response(200, json={"places": {u: places[u] for u in users if u in places}})

    return answer


async def delivers(request: httpx.Request) -> httpx.Response:
    """A node that reaches every connection it is asked for."""
    connections = json.loads(request.content)["connections"]
    return httpx.Response(200, json={"outcomes": dict.fromkeys(connections, "delivered")})


async def silent(_request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def pushing(
    registry: Answer, node: Answer = delivers, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    client = HttpRegistry("http://registry", transport=httpx.MockTransport(registry))
    nodes = httpx.MockTransport(node)
    async with publisher(
        MemoryBroker(), registry=client, node_transport=nodes, **changes
    ) as served:
        yield served


def outcomes(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {device["connection"]: device["outcome"] for device in answer.json()["devices"]}


async def test_a_push_reaches_every_node_that_holds_the_user() -> None:
    asked: list[httpx.Request] = []

    async def node(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.host == "gw-2":
            return httpx.Response(200, json={"outcomes": {"c3": "limited"}})
        return await delivers(request)

    places = {"ann": [place("gw-1", "c1", "c2"), place("gw-2", "c3")]}
    async with pushing(registry_of(places), node) as client:
        answer = await client.post(
            "/v1/push",
            content=b'{"user": "ann", "data": {"n": 1.10}, "id": "m-1"}',
            headers={"Content-Type": "application/json", "traceparent": TRACE},
        )
        text = (await client.get("/metrics")).text
    assert answer.json() == {
        "id": "m-1",
        "devices": [
            {"connection": "c1", "node": "gw-1", "outcome": "delivered"},
            {"connection": "c2", "node": "gw-1", "outcome": "delivered"},
            {"connection": "c3", "node": "gw-2", "outcome": "limited"},
        ],
    }
    [first, _] = sorted(asked, key=lambda request: request.url.host)
    assert str(first.url) == "http://gw-1:9090/internal/push"
    assert b'"data":{"n": 1.10}' in first.content
    assert first.headers["traceparent"] == TRACE
    body = json.loads(first.content)
    assert abs(body.pop("ts_ms") - time.time() * 1000) < 60_000
    assert body == {
        "user": "ann",
        "id": "m-1",
        "data": {"n": 1.1},
        "epoch": EPOCH,
        "connections": ["c1", "c2"],
    }
    assert 'tidewire_pushes_total{outcome="answered"} 1.0' in text
    assert 'tidewire_push_devices_total{outcome="delivered"} 2.0' in text
    assert 'tidewire_push_devices_total{outcome="limited"} 1.0' in text
    assert 'tidewire_push_calls_total{outcome="answered"} 2.0' in text
    assert "tidewire_push_seconds_count 1.0" in text


async def test_a_user_who_is_nowhere_is_offline() -> None:
    async with pushing(registry_of({}), silent) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1})
    assert answer.status_code == 200
    told = answer.json()
    assert told == {"id": told["id"], "devices": [], "outcome": "offline"}
    assert len(told["id"]) == 36


async def test_a_node_that_is_not_what_the_registry_says_costs_the_others_nothing() -> None:
    answers = {
        "new-epoch": httpx.Response(409),
        "draining": httpx.Response(503),
        "gone": httpx.Response(200, json={"outcomes": {}}),
        "broken": httpx.Response(200, content=b"<html>"),
    }

    async def node(request: httpx.Request) -> httpx.Response:
        if request.url.host == "dead":
            raise httpx.ConnectError("refused")
        if request.url.host == "silent":
            return await silent(request)
        answer = answers.get(request.url.host)
        return await delivers(request) if answer is None else answer

    nodes = ("new-epoch", "dead", "draining", "silent", "gone", "broken", "fine")
    places = {"ann": [place(name, f"on-{name}") for name in nodes]}
    async with pushing(registry_of(places), node, push_timeout=0.2) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1})
        text = (await client.get("/metrics")).text
    assert outcomes(answer) == {
        "on-new-epoch": "stale",
        "on-dead": "stale",
        "on-draining": "limited",
        "on-silent": "stale",
        "on-gone": "offline",
        "on-broken": "stale",
        "on-fine": "delivered",
    }
    for call in ("stale", "limited", "timed_out", "unreachable", "refused"):
        assert f'tidewire_push_calls_total{{outcome="{call}"}} 1.0' in text


async def test_a_push_whose_time_has_passed_is_not_made() -> None:
    places = registry_of({"ann": [place("gw-1", "c1")]})

    async def slow_registry(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)  # longer than the push may take
        return await places(request)

    async with pushing(slow_registry, silent) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1, "ttl_ms": 1})
    assert outcomes(answer) == {"c1": "expired"}


async def test_now_or_never_is_pushed_now() -> None:
    async with pushing(registry_of({"ann": [place("gw-1", "c1")]})) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1, "ttl_ms": 0})
    assert outcomes(answer) == {"c1": "delivered"}


async def test_calls_at_once_are_bounded_over_all_pushes() -> None:
    is_open = asyncio.Event()
    under_way: set[httpx.Request] = set()
    most = 0

    async def node(request: httpx.Request) -> httpx.Response:
        nonlocal most
        under_way.add(request)
        most = max(most, len(under_way))
        await is_open.wait()
        under_way.discard(request)
        return await delivers(request)

    places = {"ann": [place(f"gw-{n}", f"c{n}") for n in range(50)]}
    async with pushing(registry_of(places), node, push_timeout=20) as client:
        pushes = [
            asyncio.create_task(client.post("/v1/push", json={"user": "ann", "data": n}))
            for n in range(2)
        ]
        await eventually(lambda: len(under_way) == MAX_CALLS, what="as many calls as may be")
        is_open.set()
        for answer in await asyncio.gather(*pushes):
            assert set(outcomes(answer).values()) == {"delivered"}
            assert len(outcomes(answer)) == 50
    assert most == MAX_CALLS


async def test_a_call_that_gets_no_place_in_time_is_told_as_limited() -> None:
    pusher = Pusher(
        HttpRegistry(
            "http://registry",
            transport=httpx.MockTransport(registry_of({"ann": [place("gw-1", "c1")]})),
        ),
        httpx.AsyncClient(transport=httpx.MockTransport(silent)),
        timeout=0.05,
        metrics=create_metrics("publisher"),
    )
    for _ in range(MAX_CALLS):
        await pusher._free.acquire()
    [device] = await pusher.push(Push("ann", "m", b"1", 0, None, {}))
    assert device.outcome is DeviceOutcome.LIMITED
    await pusher.close()


@pytest.mark.parametrize("status", [None, 500, 404])
async def test_a_registry_that_is_away_asks_to_try_again(status: int | None) -> None:
    async def away(_request: httpx.Request) -> httpx.Response:
        if status is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    async with pushing(away) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1})
        text = (await client.get("/metrics")).text
        assert (await client.get("/readyz")).status_code == 200
    refused(answer, 503, "registry-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert 'tidewire_pushes_total{outcome="unavailable"} 1.0' in text


async def test_a_registry_that_does_not_answer_is_not_waited_for() -> None:
    async with pushing(silent, push_timeout=0.05) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1})
    assert "0.05 s" in refused(answer, 503, "registry-unavailable")["detail"]


async def test_without_a_registry_the_setting_is_named() -> None:
    async with publisher(MemoryBroker()) as client:
        answer = await client.post("/v1/push", json={"user": "ann", "data": 1})
    assert "TIDEWIRE_PUBLISHER__REGISTRY_URL" in refused(answer, 503, "not-configured")["detail"]


@pytest.mark.parametrize(
    ("body", "status", "kind", "field"),
    [
        ({"data": 1}, 422, "invalid-event", "user"),
        ({"user": "", "data": 1}, 422, "invalid-event", "user"),
        ({"user": "a\n", "data": 1}, 422, "invalid-event", "user"),
        ({"user": "ann"}, 422, "invalid-event", "data"),
        ({"user": "ann", "data": None}, 422, "invalid-event", "data"),
        ({"user": "ann", "data": 1, "ttl_ms": "x"}, 422, "invalid-event", "ttl_ms"),
        ({"user": "ann", "data": 1, "id": ""}, 422, "invalid-event", "id"),
        ({"user": "ann", "data": 1, "collapse_key": "k"}, 422, "invalid-event", "collapse_key"),
        ({"user": "ann", "data": "x" * 200_000}, 413, "event-too-large", "data"),
    ],
)
async def test_what_cannot_be_pushed_is_refused_by_field(
    body: dict[str, Any], status: int, kind: str, field: str
) -> None:
    async with pushing(registry_of({}), silent) as client:
        problem = refused(await client.post("/v1/push", json=body), status, kind)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_body_that_is_none_is_refused() -> None:
    async with pushing(registry_of({})) as client:
        refused(
            await client.post("/v1/push", json=[{"user": "a", "data": 1}]), 422, "invalid-event"
        )
        bad = await client.post(
            "/v1/push", content=b"{", headers={"Content-Type": "application/json"}
        )
        refused(bad, 400, "bad-json")
        refused(await client.post("/v1/push", content=b"{}"), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("caps", "user", "status", "kind"),
    [
        (None, "ann", 401, "token-missing"),
        ({"@user/bob": [Action.PUBLISH]}, "ann", 403, "forbidden"),
        ({"@user/*": [Action.PUBLISH]}, "a/b", 403, "forbidden"),
        ({"@user/**": [Action.PUBLISH]}, "a/b", 200, ""),
        ({"@user/ann": [Action.PUBLISH]}, "ann", 200, ""),
    ],
)
async def test_outside_development_only_a_token_with_the_right_may_push(
    caps: dict[str, list[Action]] | None, user: str, status: int, kind: str
) -> None:
    headers = {}
    if caps is not None:
        headers["Authorization"] = f"Bearer {issue_token(KEY, 'service', caps, ttl=60)}"
    async with pushing(
        registry_of({"ann": [place("gw-1", "c1")], "a/b": [place("gw-1", "c1")]}),
        verifier=TokenVerifier(KEY),
        dev=False,
        token_key_file=Path("k"),
    ) as client:
        answer = await client.post("/v1/push", json={"user": user, "data": 1}, headers=headers)
    if status == 200:
        assert outcomes(answer) == {"c1": "delivered"}
    else:
        refused(answer, status, kind)


async def test_openapi_describes_it() -> None:
    async with pushing(registry_of({})) as client:
        schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/v1/push"]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/json"]
    assert {"200", "400", "401", "403", "408", "413", "415", "422", "503"} <= set(
        operation["responses"]
    )
    outcome = schema["components"]["schemas"]["DeviceOutcome"]
    assert set(outcome["enum"]) == {"delivered", "offline", "stale", "limited", "expired"}
