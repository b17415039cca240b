"""The service over the store in memory, spoken to by the client that nodes and routers hold."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from harness.waiting import eventually
from tidewire.targeting.errors import (
    BatchOvertakenError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    RegistryUnavailableError,
    StoreUnavailableError,
)
from tidewire.targeting.registry import Batch, Evicted, NodeAnnouncement, NodeState, Session
from tidewire.targeting.registry_http import HttpRegistry
from tidewire_registry import body, endpoints, node_calls
from tidewire_registry.app import create_app
from tidewire_registry.core.leases import LeaseRules
from tidewire_registry.settings import RegistrySettings
from tidewire_registry.stores.memory import MemoryStore

URL = "http://registry"
LEASE = 10_000
Answer = httpx.Response | Awaitable[httpx.Response]


class Clock:
    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class Nodes:
    """The nodes' internal ports: remembers what was asked, answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[httpx.Request], Answer] = lambda _: httpx.Response(
            200, json={"connections": 2}
        )

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        target = f"{request.url.host}{request.url.raw_path.decode()}"
        self.asked.append((target, json.loads(request.content)))
        answer = self.answer(request)
        return answer if isinstance(answer, httpx.Response) else await answer


class Part:
    """A registry in this process, with its clients."""

    def __init__(self, app: FastAPI, transport: httpx.ASGITransport, nodes: Nodes) -> None:
        self.app = app
        self.http = httpx.AsyncClient(transport=transport, base_url=URL)
        self.registry = HttpRegistry(URL, transport=transport)
        self.nodes = nodes

    async def metric(self, name: str) -> float:
        text = (await self.http.get("/metrics")).text
        line = next(x for x in text.splitlines() if x.startswith(f"tidewire_{name} "))
        return float(line.rpartition(" ")[2])

    async def node(self, name: str) -> str:
        lease = await self.registry.register(NodeAnnouncement(name, f"http://{name}"))
        return lease.epoch


@asynccontextmanager
async def running(
    store: MemoryStore, clock: Clock, *, node_timeout: float = 2.0
) -> AsyncIterator[Part]:
    nodes = Nodes()
    app = create_app(
        RegistrySettings(slots=3, node_timeout=node_timeout),
        store=store,
        node_transport=httpx.MockTransport(nodes),
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        part = Part(app, transport, nodes)
        yield part
        await part.http.aclose()
        await part.registry.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def part(clock: Clock) -> AsyncIterator[Part]:
    async with running(MemoryStore(clock, LeaseRules(lease_ms=LEASE, slots=3)), clock) as part:
        yield part


def refused(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:tidewire:problem:{kind}"
    assert problem["status"] == status
    return problem


async def test_a_node_lives_through_the_client(part: Part) -> None:
    registry = part.registry
    lease = await registry.register(NodeAnnouncement("a", "http://a/", zone="z"))
    assert (lease.slot, lease.lease_ms, len(lease.epoch)) == (0, LEASE, 32)
    assert await registry.renew("a", lease.epoch, NodeState.DRAINING, {"connections": 2}) == LEASE
    batch = Batch([Session("ann", "c1", 5, "tab"), Session("bob/x?#%ü", "c2", 6)])
    assert await registry.announce("a", lease.epoch, batch) == []
    found = await registry.lookup(["ann", "bob/x?#%ü", "nobody"])
    assert {user: [p.connections for p in places] for user, places in found.items()} == {
        "ann": [("c1",)],
        "bob/x?#%ü": [("c2",)],
    }
    [place] = found["ann"]
    assert (place.node, place.slot, place.epoch) == ("a", 0, lease.epoch)
    assert place.address == "http://a"
    told = (await part.http.get("/v1/nodes")).json()
    assert told["slots"] == {"total": 3, "used": 1}
    assert told["frozen"] is False
    [node] = told["nodes"]
    assert (node["state"], node["zone"], node["sessions"]) == ("draining", "z", 2)
    assert node["load"] == {"connections": 2}
    await registry.release("a", lease.epoch)
    await registry.release("a", lease.epoch)
    assert await registry.lookup(["ann"]) == {}
    with pytest.raises(LeaseLostError, match="register again"):
        await registry.announce("a", lease.epoch, batch)
    with pytest.raises(LeaseLostError):
        await registry.renew("a", lease.epoch, NodeState.READY, {})


async def test_refusals_come_as_the_ports_errors(part: Part) -> None:
    epoch = await part.node("a")
    with pytest.raises(NodeNameTakenError, match="node a"):
        await part.node("a")
    again = await part.registry.register(NodeAnnouncement("a", "http://a"), replaces=epoch)
    assert again.epoch != epoch
    await part.node("b")
    await part.node("c")
    with pytest.raises(NoFreeSlotError, match="more partitions"):
        await part.node("d")
    with pytest.raises(RegistryUnavailableError, match=r"422.*address: must match"):
        await part.registry.register(NodeAnnouncement("e", "no url"))


async def test_a_large_announcement_goes_in_parts(part: Part) -> None:
    epoch = await part.node("a")
    connected = [Session(f"u{i}", f"c{i}", i) for i in range(1203)]
    assert await part.registry.announce("a", epoch, Batch(connected)) == []
    gone = [(f"u{i}", f"c{i}") for i in range(1200)]
    assert await part.registry.announce("a", epoch, Batch((), gone)) == []
    assert set(await part.registry.lookup([f"u{i}" for i in range(900, 1203)])) == {
        "u1200",
        "u1201",
        "u1202",
    }
    assert await part.metric("registry_sessions_connected_total") == 1203
    assert await part.metric("registry_sessions_disconnected_total") == 1200
    assert await part.metric("registry_users_looked_up_total") == 303


async def test_a_batch_that_comes_late_is_refused(part: Part) -> None:
    epoch = await part.node("a")
    connected = [Session(f"u{i}", f"c{i}", i) for i in range(1203)]
    await part.registry.announce("a", epoch, Batch(connected, number=4))
    await part.registry.announce("a", epoch, Batch((), [("u7", "c7")], number=5))
    with pytest.raises(BatchOvertakenError, match=r"node a .* tell it again"):
        await part.registry.announce("a", epoch, Batch(connected, number=4))
    assert await part.registry.lookup(["u7"]) == {}
    told = {"node": "a", "epoch": epoch, "number": 4}
    problem = refused(await part.http.post("/v1/sessions", json=told), 409, "batch-overtaken")
    assert "number" in problem["detail"]


async def test_who_tells_no_numbers_is_never_overtaken(part: Part) -> None:
    epoch = await part.node("a")
    came = [{"user": "ann", "connection": "c", "since_ms": 1}]
    for told in ({"connected": came}, {"disconnected": came}, {"connected": came}):
        answer = await part.http.post("/v1/sessions", json={"node": "a", "epoch": epoch, **told})
        assert answer.status_code == 200
    assert set(await part.registry.lookup(["ann"])) == {"ann"}
    for number in (-1, "x", 1 << 60):
        body = {"node": "a", "epoch": epoch, "number": number}
        problem = refused(await part.http.post("/v1/sessions", json=body), 422, "invalid-request")
        assert problem["errors"][0]["field"] == "number"


async def test_one_odd_session_does_not_hold_up_the_others(part: Part) -> None:
    epoch = await part.node("a")
    odd = [
        Session("ann", "c1", 1, "two\nlines \x00\ud800"),
        Session("bob", "c2", 1, ""),
        Session("eve", "c3", 1, "x" * 1000),
        Session("li", "c4", 1, "手机"),
        Session("line\nbreak", "c5", 1),
        Session("\ud800", "c6", 1),
        Session("", "c7", 1),
    ]
    await part.registry.announce("a", epoch, Batch(odd, [("a\nb", "c8"), ("nobody", "c9")]))
    users = [session.user for session in odd]
    assert set(await part.registry.lookup(users)) == {"ann", "bob", "eve", "li"}
    told = [(await part.http.get(f"/v1/users/{user}")).json() for user in users[:4]]
    assert [user["devices"][0]["device"] for user in told] == [
        "two lines  ?",
        None,
        "x" * 128,
        "手机",
    ]


async def test_a_lease_that_ran_out_frees_its_slot_for_the_next(part: Part, clock: Clock) -> None:
    for name in "abc":
        await part.node(name)
    clock.now_ms += LEASE
    await part.node("d")
    told = (await part.http.get("/v1/nodes")).json()
    assert sorted((n["node"], n["is_live"]) for n in told["nodes"]) == [
        ("b", False),
        ("c", False),
        ("d", True),
    ]
    assert await part.metric("registry_leases_ended_total") == 3


async def test_one_connection_too_many_is_closed_by_the_node_that_holds_it(part: Part) -> None:
    first, second = await part.node("a"), await part.node("b")
    await part.registry.announce("a", first, Batch([Session("ann", f"a{i}", i) for i in range(2)]))
    body = {
        "node": "b",
        "epoch": second,
        "connected": [
            {"user": "ann", "connection": f"b{i}", "since_ms": 0 if i == 0 else 50 + i}
            for i in range(17)
        ],
    }
    answer = (await part.http.post("/v1/sessions", json=body)).json()
    assert sorted(one["connection"] for one in answer["evicted"]) == ["a0", "a1", "b0"]
    assert answer["of_this_node"] == ["b0"]
    target, told = await eventually(lambda: part.nodes.asked[0] if part.nodes.asked else None)
    assert target == "a/internal/connections/close"
    assert (sorted(told["connections"]), told["code"]) == (["a0", "a1"], 3504)
    assert await part.metric("registry_sessions_evicted_total") == 3


async def test_an_eviction_that_no_node_takes_is_tried_again_and_counted(part: Part) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(500)

    part.nodes.answer = refuse
    first, second = await part.node("a"), await part.node("b")
    await part.registry.announce("a", first, Batch([Session("ann", "old", 0)]))
    young = [Session("ann", f"b{i}", 50 + i) for i in range(16)]
    evicted = await part.registry.announce("b", second, Batch(young))
    assert evicted == [Evicted("ann", "old", "a")]

    async def is_counted() -> bool:
        return await part.metric("registry_evictions_untold_total") == 1

    await eventually(is_counted)
    assert len(part.nodes.asked) == 3


async def test_a_user_is_disconnected_wherever_it_is(part: Part) -> None:
    user = "../ann?x#y%/é"
    for name in ("a", "b"):
        epoch = await part.node(name)
        sessions = [Session(user, f"{name}{i}", i) for i in range(2)]
        await part.registry.announce(name, epoch, Batch(sessions))
    part.nodes.answer = lambda request: (
        httpx.Response(200, json={"connections": 2})
        if request.url.host == "a"
        else httpx.Response(503)
    )
    encoded = "%2E%2E%2Fann%3Fx%23y%25%2F%C3%A9"
    answer = (await part.http.post(f"/v1/users/{encoded}/disconnect")).json()
    assert answer["connections"] == 2
    first, second = sorted(answer["nodes"], key=lambda node: str(node["node"]))
    assert first == {"node": "a", "connections": 2}
    assert second["node"] == "b"
    assert "503" in second["error"]
    assert {target for target, _ in part.nodes.asked} == {
        f"{name}/internal/users/{encoded}/disconnect" for name in ("a", "b")
    }


async def test_a_node_that_cannot_be_reached_does_not_hide_the_others(part: Part) -> None:
    epoch = await part.node("a")
    await part.registry.announce("a", epoch, Batch([Session("ann", "c", 1)]))

    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow", request=request)

    part.nodes.answer = unreachable
    answer = (await part.http.post("/v1/users/ann/disconnect")).json()
    assert answer == {"connections": 0, "nodes": [{"node": "a", "error": "no answer within 2 s"}]}
    part.nodes.answer = lambda _: httpx.Response(200, text="what?")
    answer = (await part.http.post("/v1/users/ann/disconnect")).json()
    assert answer["nodes"] == [{"node": "a", "error": "the node's answer names no connections"}]
    nobody = (await part.http.post("/v1/users/nobody/disconnect")).json()
    assert nobody == {"connections": 0, "nodes": []}


async def test_operators_see_the_devices_of_a_user(part: Part) -> None:
    epoch = await part.node("a")
    user = "tenant/ann"
    await part.registry.announce("a", epoch, Batch([Session(user, "c", 7, "tab")]))
    answer = (await part.http.get("/v1/users/tenant%2Fann")).json()
    device = {"connection": "c", "node": "a", "device": "tab", "since_ms": 7, "is_live": True}
    assert answer == {"user": user, "devices": [device]}
    assert (await part.http.get("/v1/users/nobody")).json() == {"user": "nobody", "devices": []}
    refused(await part.http.get("/v1/users/" + "x" * 300), 422, "invalid-user")
    refused(await part.http.get("/v1/users/a%09b"), 422, "invalid-user")


async def test_operators_see_the_sessions_of_a_node(part: Part) -> None:
    epoch = await part.node("a")
    sessions = [Session(f"u{i}", f"c{i}", i) for i in range(5)]
    await part.registry.announce("a", epoch, Batch(sessions))
    first = (await part.http.get("/v1/nodes/a/sessions?limit=3")).json()
    assert (first["node"], first["epoch"], len(first["sessions"])) == ("a", epoch, 3)
    rest = (await part.http.get(f"/v1/nodes/a/sessions?limit=3&cursor={first['next']}")).json()
    assert (len(rest["sessions"]), rest["next"]) == (2, None)
    problem = refused(await part.http.get("/v1/nodes/zz/sessions"), 404, "unknown-node")
    assert "GET /v1/nodes" in problem["detail"]
    problem = refused(await part.http.get("/v1/nodes/a/sessions?limit=x"), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "limit"


async def test_what_cannot_be_used_is_named(part: Part) -> None:
    http = part.http
    refused(await http.post("/v1/nodes", content=b"{"), 400, "bad-json")
    problem = refused(await http.post("/v1/nodes", json={"node": "a b"}), 422, "invalid-request")
    assert {fault["field"] for fault in problem["errors"]} == {"node", "address"}
    body: dict[str, Any] = {"node": "a", "epoch": "0" * 32, "connected": []}
    body["connected"] = [{"user": "a\nb", "connection": "c", "since_ms": 1}]
    problem = refused(await http.post("/v1/sessions", json=body), 422, "invalid-request")
    assert problem["errors"] == [
        {
            "field": "connected[0].user",
            "message": "the user id has control characters: leave them out",
        }
    ]
    body["connected"] = [{"user": "a", "connection": "c", "since_ms": 1}] * 1001
    refused(await http.post("/v1/sessions", json=body), 413, "batch-too-large")
    refused(await http.post("/v1/lookup", content=b"{"), 400, "bad-json")
    refused(await http.post("/v1/lookup", json={"users": [1]}), 422, "invalid-request")
    refused(await http.post("/v1/lookup", json=[]), 422, "invalid-request")
    too_many = {"users": [f"u{i}" for i in range(1001)]}
    refused(await http.post("/v1/lookup", json=too_many), 413, "batch-too-large")
    refused(await http.post("/v1/lookup", content=b" " * 2_100_000), 413, "body-too-large")
    refused(await http.get("/v1/lookup"), 405, "method-not-allowed")
    refused(await http.get("/nowhere"), 404, "not-found")


async def test_health_does_not_ask_the_store(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    store = MemoryStore(clock)

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Redis failed: start it")

    for name in ("settle", "register", "lookup"):
        monkeypatch.setattr(store, name, away)
    async with running(store, clock) as part:
        assert (await part.http.get("/healthz")).status_code == 200
        assert (await part.http.get("/readyz")).status_code == 200
        answer = await part.http.post("/v1/lookup", json={"users": ["ann"]})
        assert refused(answer, 503, "store-unavailable")["detail"] == "Redis failed: start it"
        assert answer.headers["retry-after"] == "1"
        with pytest.raises(RegistryUnavailableError, match=r"answered 503: Redis failed: start it"):
            await part.registry.lookup(["ann"])

        async def is_told() -> bool:
            return await part.metric("registry_store_up") == 0

        await eventually(is_told)


async def test_a_freeze_shows_in_the_gauge(clock: Clock) -> None:
    rules = LeaseRules(lease_ms=LEASE, slots=6)
    async with running(MemoryStore(clock, rules), clock) as part:
        for i in range(6):
            await part.node(f"n{i}")
        clock.now_ms += LEASE

        async def is_frozen() -> bool:
            return await part.metric("registry_expiry_frozen") == 1

        await eventually(is_frozen)
        assert (await part.http.get("/v1/nodes")).json()["frozen"] is True
        clock.now_ms += rules.freeze_ms

        async def is_over() -> bool:
            return await part.metric("registry_expiry_frozen") == 0

        await eventually(is_over)


async def test_dead_sessions_are_swept(part: Part) -> None:
    epoch = await part.node("a")
    await part.registry.announce("a", epoch, Batch([Session("ann", "c", 1)]))
    await part.registry.release("a", epoch)

    async def is_swept() -> bool:
        return await part.metric("registry_sessions_swept_total") == 1

    await eventually(is_swept)
    assert (await part.http.get("/v1/users/ann")).json()["devices"] == []


async def test_the_api_is_described(part: Part) -> None:
    described = (await part.http.get("/openapi.json")).json()
    operations = {
        (method, path) for path, methods in described["paths"].items() for method in methods
    }
    assert operations == {
        ("post", "/v1/nodes"),
        ("get", "/v1/nodes"),
        ("put", "/v1/nodes/{node}/lease"),
        ("delete", "/v1/nodes/{node}"),
        ("get", "/v1/nodes/{node}/sessions"),
        ("post", "/v1/sessions"),
        ("post", "/v1/lookup"),
        ("get", "/v1/users/{user}"),
        ("post", "/v1/users/{user}/disconnect"),
        ("get", "/healthz"),
        ("get", "/startupz"),
        ("get", "/readyz"),
    }
    schemas = described["components"]["schemas"]
    references = {
        text.partition('"')[0] for text in json.dumps(described).split("#/components/schemas/")[1:]
    }
    assert references <= schemas.keys()
    assert schemas["AnnounceBody"]["properties"]["connected"]["items"] == {
        "$ref": "#/components/schemas/SessionBody"
    }
    number = schemas["AnnounceBody"]["properties"]["number"]
    assert (number["default"], number["minimum"]) == (0, 0)
    assert "batch-overtaken" in number["description"]
    conflict = described["paths"]["/v1/sessions"]["post"]["responses"]["409"]
    assert "batch-overtaken" in conflict["description"]


async def test_a_body_that_does_not_end_is_refused(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    refused(await part.http.post("/v1/lookup", content=endless()), 413, "body-too-large")
    monkeypatch.setattr(body, "BODY_TIMEOUT", 0.05)
    refused(await part.http.post("/v1/lookup", content=stuck()), 408, "body-timeout")


async def test_at_the_bound_of_requests_the_next_is_refused(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "_MOST_IN_WORK", 0)
    answer = await part.http.post("/v1/lookup", json={"users": ["ann"]})
    refused(answer, 503, "overloaded")
    assert (await part.http.get("/healthz")).status_code == 200


async def test_at_the_bound_of_calls_an_eviction_is_counted_as_untold(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_calls, "_MOST_PENDING", 0)
    first, second = await part.node("a"), await part.node("b")
    await part.registry.announce("a", first, Batch([Session("ann", "old", 0)]))
    young = [Session("ann", f"b{i}", 50 + i) for i in range(16)]
    await part.registry.announce("b", second, Batch(young))
    assert await part.metric("registry_evictions_untold_total") == 1
    assert part.nodes.asked == []


async def test_a_node_that_is_silent_does_not_hold_up_the_end(clock: Clock) -> None:
    async with running(MemoryStore(clock), clock, node_timeout=0.05) as part:

        async def silent() -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

        part.nodes.answer = lambda _: silent()
        first, second = await part.node("a"), await part.node("b")
        await part.registry.announce("a", first, Batch([Session("ann", "old", 0)]))
        answer = (await part.http.post("/v1/users/ann/disconnect")).json()
        assert answer["nodes"] == [{"node": "a", "error": "no answer within 0.05 s"}]
        young = [Session("ann", f"b{i}", 50 + i) for i in range(16)]
        await part.registry.announce("b", second, Batch(young))
        await eventually(lambda: len(part.nodes.asked) > 1)


async def test_our_own_mistake_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    store = MemoryStore(clock)
    monkeypatch.setattr(store, "lookup", broken)
    async with running(store, clock) as part:
        answer = await part.http.post("/v1/lookup", json={"users": ["ann"]})
        assert "secret" not in refused(answer, 500, "internal")["detail"]


async def test_without_housekeeping_the_service_ends(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    async def broken() -> None:
        raise RuntimeError("no lease would ever end")

    store = MemoryStore(clock)
    async with running(store, clock) as part:
        stopped = asyncio.Event()
        part.app.state.stop = stopped.set
        monkeypatch.setattr(store, "settle", broken)
        await asyncio.wait_for(stopped.wait(), 10)
        assert str(part.app.state.failure) == "no lease would ever end"


async def test_what_answers_wrongly_is_no_registry() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/nodes":
            return httpx.Response(502, text="<html>bad gateway")
        if request.url.path == "/v1/lookup":
            return httpx.Response(200, json={"places": {"ann": [{"node": "a"}]}})
        return httpx.Response(200, text="<html>")

    registry = HttpRegistry(URL, transport=httpx.MockTransport(answer))
    with pytest.raises(RegistryUnavailableError, match="no registry"):
        await registry.lookup(["ann"])
    with pytest.raises(RegistryUnavailableError, match="no registry"):
        await registry.renew("a", "0" * 32, NodeState.READY, {})
    with pytest.raises(RegistryUnavailableError, match="answered 502: <html>bad gateway"):
        await registry.register(NodeAnnouncement("a", "http://a"))
    await registry.close()


async def test_a_registry_that_is_silent_is_unavailable_in_time() -> None:
    async def silent(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    registry = HttpRegistry(URL, timeout=0.1, transport=httpx.MockTransport(silent))
    with pytest.raises(RegistryUnavailableError, match=r"did not answer within 0.1 s"):
        await registry.lookup(["ann"])
    await registry.close()
    nobody = HttpRegistry("http://127.0.0.1:1")
    with pytest.raises(RegistryUnavailableError, match="cannot be reached"):
        await nobody.lookup(["ann"])
    await nobody.close()


async def test_page_of_another_site_changes_nothing_here(part: Part) -> None:
    body = {"node": "a", "address": "http://a"}
    foreign = {"origin": "https://elsewhere.example"}
    answer = await part.http.put("/v1/nodes/a/lease", json=body, headers=foreign)
    refused(answer, 403, "foreign-page")
    assert (await part.http.get("/v1/nodes", headers=foreign)).status_code == 200
    await part.node("a")
