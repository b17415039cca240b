"""The console's side of a node: operators on the internal port, the system's own streams, flows, following."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.typing import Origin

from harness.console import ConsoleGateway, console_clients, console_gateway, make_system_topics
from harness.gateway import (
    FrameClient,
    MemoryTopics,
    gateway_settings,
    running_gateway,
    write_streams,
)
from harness.waiting import eventually
from integration.gateway.conftest import STREAMS
from tidewire.identity.internal_keys import headers_of, load_internal_keys
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key, load_key
from tidewire.identity.rights import Action
from tidewire.kafka.records import NewRecord
from tidewire.system.readings import value_of
from tidewire_gateway.app import create_app
from tidewire_gateway.console.compose import Console
from tidewire_gateway.console.observing import NodeObserver
from tidewire_gateway.console.operators import MOST_OPERATORS
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.topologies import Topologies

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = TRACEPARENT.decode().split("-")[1]
FOLLOW = "/v1/flows/follow"


@pytest.fixture
async def console(topics: MemoryTopics, tmp_path: Path) -> AsyncIterator[ConsoleGateway]:
    make_system_topics(topics.broker)
    async with console_gateway(
        write_streams(tmp_path, STREAMS), console_clients(topics.broker)
    ) as running:
        yield running


async def events(client: FrameClient) -> list[dict[str, Any]]:
    """Those of the next snapshot or update."""
    while True:
        message = await client.receive()
        if message["type"] in {"snapshot", "updates"}:
            found: list[dict[str, Any]] = message["payload"]["events"]
            if found:
                return found


@asynccontextmanager
async def http(console: ConsoleGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=console.internal, trust_env=False) as client:
        yield client


async def test_node_tells_how_it_is_on_its_internal_port(console: ConsoleGateway) -> None:
    async with console.connect_operator() as operator:
        await operator.subscribe("tidewire.system")
        (event,) = await events(operator)
    record = event["data"]
    assert event["key"] == "gateway/node-1"
    assert (record["service"], record["instance"]) == ("gateway", "node-1")
    assert record["state"] == "ready"
    assert record["every_ms"] == 2000
    assert record["started_at_ms"] <= record["at_ms"]
    assert record["memory_bytes"] > 0
    assert record["alarms"] == []
    assert record["figures"]["connections"] == {"open": 0, "congested": 0, "handshaking": 0}


async def test_operator_has_every_stream_with_any_token_or_none(
    console: ConsoleGateway, topics: MemoryTopics
) -> None:
    await topics.publish("secret", "a/1", {"n": 1})
    for token in (None, "nonsense"):
        async with console.connect_operator(token) as operator:
            await operator.subscribe("secret")
            (event,) = await events(operator)
            assert event["data"] == {"n": 1}


async def test_operator_is_no_client_and_nobodys(console: ConsoleGateway) -> None:
    node = console.gateway.node
    async with console.connect_operator() as operator:
        await operator.send("subscribe", channel="@me")
        assert (await operator.expect("error"))["code"] == "forbidden"
        await operator.subscribe("flights")
        assert len(node.connections) == 0
    await eventually(lambda: len(node.feeds) == 0, what="the operator's subscription ends")


async def test_public_port_knows_nothing_of_the_system_s_streams_whatever_the_token(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    make_system_topics(topics.broker)
    key = tmp_path / "token.key"
    ensure_key(key)
    token = issue_token(load_key(key), "eve", {"**": [Action.SUBSCRIBE]}, ttl=60)
    async with console_gateway(
        write_streams(tmp_path, STREAMS), console_clients(topics.broker), token_key_file=key
    ) as console:
        for stream in ("tidewire.system", "tidewire.flows", "tidewire.other"):
            for offered in (None, token):
                async with console.gateway.connect(token=offered) as client:
                    await client.send("subscribe", channel=stream)
                    assert (await client.expect("error"))["code"] == "unknown_channel"
                async with httpx.AsyncClient(trust_env=False) as reader:
                    headers = {} if offered is None else {"authorization": f"Bearer {offered}"}
                    url = f"{console.gateway.http}/v1/channels/{stream}"
                    assert (await reader.get(url, headers=headers)).status_code == 404


async def test_page_of_another_site_is_refused(console: ConsoleGateway) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with console.connect_operator(origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403
    async with console.connect_operator(origin=console.internal) as operator:
        await operator.subscribe("tidewire.system")
    async with http(console) as client:
        answer = await client.post(
            FOLLOW,
            json={"stream": "flights", "key": "JFK/1"},
            headers={"origin": "https://elsewhere.example"},
        )
        assert answer.status_code == 403


DRAIN = "/internal/drain"


async def test_page_of_another_site_drains_no_node_and_closes_nobody(
    console: ConsoleGateway,
) -> None:
    foreign = {"origin": "https://elsewhere.example"}
    async with http(console) as asked:
        for path in (DRAIN, "/internal/users/ann/disconnect", "/internal/connections/close"):
            answer = await asked.post(path, headers=foreign)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
        assert not console.gateway.node.is_draining
        assert (await asked.get("/readyz", headers=foreign)).status_code == 200
        assert (await asked.post(DRAIN)).status_code == 202
    assert console.gateway.node.is_draining


async def test_page_of_another_site_drains_no_node_without_a_console_either(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    async with running_gateway(
        write_streams(tmp_path, STREAMS), console_clients(topics.broker)
    ) as gateway:
        through = httpx.ASGITransport(create_internal_app(gateway.app))
        base = "http://gateway-0.gateway:9090"  # by any name: other services ask for pushes
        async with httpx.AsyncClient(transport=through, base_url=base) as asked:
            answer = await asked.post(DRAIN, headers={"origin": "https://elsewhere.example"})
            assert answer.status_code == 403
            assert not gateway.node.is_draining
            assert (await asked.post(DRAIN)).status_code == 202


async def test_name_that_another_site_has_pointed_here_is_refused(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    make_system_topics(topics.broker)
    key_file = tmp_path / "internal.key"
    key_file.write_text("a" * 64)
    async with console_gateway(
        write_streams(tmp_path, STREAMS),
        console_clients(topics.broker),
        internal_host="inside.example",
        internal_key_file=key_file,
        console_hosts=["console.example"],
        targeted={"address": "http://gateway-0.gateway:9090"},
    ) as console:
        port = int(console.internal.rpartition(":")[2])
        async with http(console) as asked:
            for path in ("/console/", "/metrics", "/healthz", "/openapi.json"):
                answer = await asked.get(path, headers={"host": f"rebound.example:{port}"})
                assert answer.status_code == 403
            for name in ("inside.example", "console.example", "gateway-0.gateway", "localhost"):
                answer = await asked.get("/healthz", headers={"host": f"{name}:{port}"})
                assert answer.status_code == 200
            rebound = f"rebound.example:{port}"
            same = {"host": rebound, "origin": f"http://{rebound}"}
            assert (await asked.post(DRAIN, headers=same)).status_code == 403
        at: dict[str, Any] = {"host": "127.0.0.1", "port": port}
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(
                f"ws://{rebound}/v1/ws", origin=Origin(f"http://{rebound}"), **at
            )
        assert refused.value.response.status_code == 403
        named = f"console.example:{port}"
        async with websockets.connect(
            f"ws://{named}/v1/ws",
            origin=Origin(f"http://{named}"),
            additional_headers=headers_of(load_internal_keys(key_file)),
            **at,
        ):
            pass


async def test_operators_are_not_too_many(console: ConsoleGateway) -> None:
    url = f"{console.internal.replace('http', 'ws')}/v1/ws"
    held = [await websockets.connect(url, compression=None) for _ in range(MOST_OPERATORS)]
    try:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, compression=None)
        assert refused.value.response.status_code == 503
    finally:
        await asyncio.gather(*(connection.close() for connection in held))


async def publish_sampled(topics: MemoryTopics, key: str, number: int) -> None:
    record = NewRecord(
        "flights", 0, key.encode(), b'{"n":%d}' % number, [("traceparent", TRACEPARENT)]
    )
    await topics.broker.writer().write(record)


async def test_flow_of_a_sampled_event_says_all_of_its_way(
    console: ConsoleGateway, topics: MemoryTopics
) -> None:
    async with console.connect_operator() as operator, console.gateway.connect() as client:
        await operator.subscribe("tidewire.flows")
        await client.subscribe("flights", interval_ms=0)
        await publish_sampled(topics, "JFK/1", 1)
        (event,) = await events(operator)
    flow = event["data"]
    assert event["key"] == flow["trace"] == TRACE
    assert set(flow) == {
        *("node", "topic", "stream", "channel", "mode", "interval_ms", "trace", "span"),
        *("pushed_at_ms", "written_at_ms", "connections", "events", "coalesced"),
        *("sampled", "sampled_cut"),
    }
    assert flow["channel"] == "flights"
    assert flow["connections"] == 1
    (sampled,) = flow["sampled"]
    assert sampled["key"] == "JFK/1"
    assert sampled["trace"] == TRACE
    assert sampled["ts_ms"] - 1 <= sampled["taken_at_ms"] <= flow["pushed_at_ms"]
    assert flow["pushed_at_ms"] <= flow["written_at_ms"]


async def test_flow_of_a_flow_is_never_told(console: ConsoleGateway, topics: MemoryTopics) -> None:
    async with console.connect_operator() as operator, console.gateway.connect() as client:
        await operator.subscribe("tidewire.flows")
        await client.subscribe("flights", interval_ms=0)
        traced = NewRecord(
            "tidewire.flows", 0, b"mine", b'{"made":"up"}', [("traceparent", TRACEPARENT)]
        )
        await topics.broker.writer().write(traced)
        assert (await events(operator))[0]["key"] == "mine"
        await publish_sampled(topics, "JFK/1", 1)
        (event,) = await events(operator)
        assert event["data"]["stream"] == "flights"


async def test_entity_is_followed_until_it_is_ended(
    console: ConsoleGateway, topics: MemoryTopics
) -> None:
    body = {"stream": "flights", "key": "JFK/1", "seconds": 60}
    async with (
        console.connect_operator() as operator,
        console.gateway.connect() as client,
        http(console) as asked,
    ):
        await operator.subscribe("tidewire.flows")
        await client.subscribe("flights", interval_ms=0)
        assert (await asked.post(FOLLOW, json=body)).json() == body | {"followed": 1}
        await topics.publish("flights", "JFK/2", {})
        await topics.publish("flights", "JFK/1", {})
        (event,) = await events(operator)
        assert [s["key"] for s in event["data"]["sampled"]] == ["JFK/1"]
        assert (await asked.request("DELETE", FOLLOW, json=body)).status_code == 204
        await topics.publish("flights", "JFK/1", {})
        await publish_sampled(topics, "JFK/3", 1)
        (event,) = await events(operator)
        assert [s["key"] for s in event["data"]["sampled"]] == ["JFK/3"]


async def test_following_ends_by_itself(console: ConsoleGateway, topics: MemoryTopics) -> None:
    async with http(console) as asked:
        first = {"stream": "flights", "key": "JFK/1", "seconds": 0.05}
        await asked.post(FOLLOW, json=first)
        follows = console.gateway.app.state.console.follows
        await eventually(lambda: len(follows) == 0, what="the following is over")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"stream": "nowhere", "key": "a"}, 404, None),
        ({"stream": "tidewire.flows", "key": "a"}, 404, None),
        ({"stream": "flights"}, 422, "key"),
        ({"stream": "flights", "key": ""}, 422, "key"),
        ({"stream": "flights", "key": "a", "seconds": 0}, 422, "seconds"),
        ({"stream": "flights", "key": "a", "seconds": 1e9}, 422, "seconds"),
        ({"stream": "flights", "key": "a", "until": 1}, 422, "until"),
    ],
)
async def test_bad_wish_to_follow_says_what_is_wrong(
    console: ConsoleGateway, body: dict[str, Any], status: int, field: str | None
) -> None:
    async with http(console) as asked:
        for method in ("POST", "DELETE"):
            answer = await asked.request(method, FOLLOW, json=body)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            told = [error["field"] for error in answer.json().get("errors", [])]
            assert told == ([] if field is None else [field])


async def test_no_more_than_sixteen_are_followed(console: ConsoleGateway) -> None:
    async with http(console) as asked:
        for number in range(16):
            answer = await asked.post(FOLLOW, json={"stream": "flights", "key": f"JFK/{number}"})
            assert answer.status_code == 200
        refused = await asked.post(FOLLOW, json={"stream": "flights", "key": "JFK/more"})
        assert refused.status_code == 409
        again = await asked.post(FOLLOW, json={"stream": "flights", "key": "JFK/0"})
        assert again.status_code == 200


async def test_body_that_is_no_json_by_its_type_or_too_large_is_refused(
    console: ConsoleGateway,
) -> None:
    async with http(console) as asked:
        content = b'{"stream":"flights","key":"a"}'
        as_form = await asked.post(FOLLOW, content=content, headers={"content-type": "text/plain"})
        assert as_form.status_code == 415
        large = {"stream": "flights", "key": "a" * 20_000}
        assert (await asked.post(FOLLOW, json=large)).status_code == 413


async def test_sdk_is_served_beside_the_page_under_a_strict_policy(
    console: ConsoleGateway,
) -> None:
    async with http(console) as asked:
        answer = await asked.get("/console/sdk/tidewire.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    host = console.internal.removeprefix("http://")
    assert "default-src 'self'" in policy
    assert f"connect-src 'self' ws://{host} wss://{host};" in policy
    assert "unsafe" not in policy


async def test_without_the_setting_there_is_no_console(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    make_system_topics(topics.broker)
    async with running_gateway(
        write_streams(tmp_path, STREAMS), console_clients(topics.broker)
    ) as gateway:
        assert gateway.app.state.console is None
        async with gateway.connect() as client:
            await client.send("subscribe", channel="tidewire.system")
            assert (await client.expect("error"))["code"] == "unknown_channel"


async def test_kafka_that_is_away_costs_the_node_nothing(
    console: ConsoleGateway, topics: MemoryTopics
) -> None:
    async with console.gateway.connect() as client:
        await client.subscribe("flights", interval_ms=0)
        topics.broker.set_available(False)
        node_console = console.gateway.app.state.console
        await eventually(lambda: node_console.lost > 0, what="a record is lost")
        assert not console.gateway.is_stopping()
        topics.broker.set_available(True)
        await topics.publish("flights", "JFK/1", {"n": 2})
        assert (await events(client))[-1]["data"] == {"n": 2}
    async with console.connect_operator() as operator:
        await operator.subscribe("tidewire.system")
        assert await events(operator)


async def figures_of(console: ConsoleGateway) -> dict[str, Any]:
    """Those that the node tells of itself now."""
    observed = await NodeObserver(console.gateway.node).observe()
    return dict(observed.figures)


async def test_operators_are_left_out_of_what_they_look_at(console: ConsoleGateway) -> None:
    node = console.gateway.node
    async with console.connect_operator() as operator, console.gateway.connect() as client:
        await client.subscribe("flights")
        before = await figures_of(console)
        await operator.send("subscribe", channel="@me")
        await operator.expect("error")
        await operator.subscribe("tidewire.system")
        await events(operator)
        (connection,) = console.gateway.app.state.console.operators.connections
        connection.congested()
        await node.sweep.turn()
        after = await figures_of(console)
        connection.drained()
    left_out = ("connections", "subscriptions", "feeds", "handshakes", "errors", "closes")
    assert {name: after[name] for name in left_out} == {name: before[name] for name in left_out}
    assert [feed["channel"] for feed in after["top_feeds"]] == ["flights"]
    assert after["feeds"] == after["subscriptions"]["attached"] == 1


async def test_operator_that_takes_nothing_is_swept_all_the_same(console: ConsoleGateway) -> None:
    operators = console.gateway.app.state.console.operators
    async with console.connect_operator():
        (connection,) = operators.connections
        connection.congested()
        congested = operators.instruments.connections_congested
        await eventually(lambda: value_of(congested) == 1, what="the operators' own sweep")
        connection.drained()
        await eventually(lambda: value_of(congested) == 0, what="it is level again")
    assert value_of(console.gateway.node.instruments.connections_congested) == 0


async def test_record_names_the_address_that_others_are_told(
    topics: MemoryTopics, tmp_path: Path
) -> None:
    make_system_topics(topics.broker)
    async with (
        console_gateway(
            write_streams(tmp_path, STREAMS),
            console_clients(topics.broker),
            targeted={"address": "http://10.0.0.7:9090"},
        ) as console,
        console.connect_operator() as operator,
    ):
        await operator.subscribe("tidewire.system")
        (event,) = await events(operator)
    assert event["data"]["internal"] == "http://10.0.0.7:9090"


async def test_flows_and_lost_records_are_counted(
    console: ConsoleGateway, topics: MemoryTopics
) -> None:
    metrics = console.gateway.node.instruments.metrics
    told = metrics.counters("flows_total", "outcome")["told"]
    lost = metrics.tally("system_records_lost_total")
    async with console.gateway.connect() as client:
        await client.subscribe("flights", interval_ms=0)
        await publish_sampled(topics, "JFK/1", 1)
        await eventually(lambda: value_of(told) == 1, what="the flow is told")
        assert lost.value == 0
        topics.broker.set_available(False)
        await eventually(lambda: lost.value > 0, what="a record is lost")


class ClosingAdmin:
    """An admin that remembers that it was closed."""

    def __init__(self, admin: Any) -> None:
        self._admin = admin
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self._admin.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._admin, name)


async def test_fault_at_the_console_s_end_keeps_nothing_else_from_ending(
    topics: MemoryTopics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_system_topics(topics.broker)
    admin = ClosingAdmin(topics.broker.admin())
    clients = replace(console_clients(topics.broker), admin=lambda: admin)

    async def broken(_: Console) -> None:
        raise RuntimeError("a bug of the end")

    monkeypatch.setattr(Console, "end", broken)
    settings = gateway_settings(write_streams(tmp_path, STREAMS), console=True)
    app = await asyncio.to_thread(create_app, settings, clients)
    with pytest.raises(RuntimeError, match="a bug of the end"):
        async with app.router.lifespan_context(app):
            console = app.state.console
    monkeypatch.undo()
    await console.end()
    assert admin.is_closed


async def test_missing_topics_of_the_console_are_asked_for_as_seldom_as_others_that_are_there(
    topics: MemoryTopics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin: Any = topics.broker.admin()
    asked: list[int] = []
    describe = admin.describe

    def counting(names: Any) -> Any:
        asked.append(1)
        return describe(names)

    monkeypatch.setattr(admin, "describe", counting)
    clients = replace(console_clients(topics.broker), admin=lambda: admin)
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noting(delay: float, result: Any = None) -> Any:
        if sys._getframe(1).f_code is Topologies.watch.__code__:
            waits.append(delay)
        return await sleep(delay, result)

    monkeypatch.setattr(asyncio, "sleep", noting)
    streams = write_streams(tmp_path, STREAMS)
    async with console_gateway(streams, clients, topic_poll_interval=10.0):
        await eventually(lambda: waits, what="the first look")
    assert waits == [10.0]
