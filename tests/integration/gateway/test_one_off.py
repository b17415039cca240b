"""Reading a channel once over HTTP: what is answered, when, and to whom."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import TopicSpec
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "flights": {
        "topic": "flights",
        "partitions": 2,
        "group": "key-prefix",
        "table": True,
        "public": True,
    },
    "places": {"topic": "places", "group": "key", "table": True, "public": True},
    "notices": {"topic": "notices", "modes": ["every"], "public": True},
    "secret": {"topic": "secret", "group": "key-prefix", "table": True},
}
SHORT = {"live_timeout": 0.3}
DOCUMENT = Path(__file__).parents[3] / "docs" / "http-api.md"


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
def make_gateway(topics: MemoryTopics, tmp_path: Path) -> Any:
    path = write_streams(tmp_path, STREAMS)
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Gateway]:
        async with running_gateway(path, clients, **options) as gateway:
            yield gateway

    return make


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with channels(gateway) as client:
        yield client


def channels(gateway: Gateway, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{gateway.http}/v1/channels/", **options)


async def publish(topics: MemoryTopics, key: str, data: Any) -> None:
    partition = partition_of(key.partition("/")[0].encode(), 2)
    await topics.publish("flights", key, data, partition=partition)


def values(answer: httpx.Response) -> dict[str, Any]:
    return {e["key"]: e["data"] for e in answer.json()["events"]}


def problem(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == (f"urn:tidewire:problem:{kind}", status)
    assert body["title"]
    assert body["detail"]
    assert answer.headers["vary"] == "Authorization, Origin"


def metric(gateway: Gateway, name: str) -> float:
    text: str = gateway.app.state.instruments.metrics.render()[0].decode()
    for line in text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split(" ")[1])
    raise AssertionError(f"no metric {name}")


def outcomes(gateway: Gateway, outcome: str) -> float:
    return metric(gateway, f'tidewire_one_off_reads_total{{outcome="{outcome}"}}')


async def test_answer_is_what_a_subscription_begins_with(
    gateway: Gateway, http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", {"n": 1})
    await publish(topics, "JFK/1", {"n": 2})
    await publish(topics, "EWR/7", {"n": 3})
    await publish(topics, "EWR/8", {"n": 4})
    await publish(topics, "EWR/8", None)
    answer = await http.get("flights")
    async with gateway.connect() as client:
        await client.subscribe("flights")
        snapshot = await client.expect("snapshot")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "Authorization, Origin"
    assert "tidewire-state" not in answer.headers
    got = answer.json()
    assert values(answer) == {"JFK/1": {"n": 2}, "EWR/7": {"n": 3}}
    assert got["channel"] == "flights"
    assert "partial" not in got
    assert got["position"] == snapshot["position"]
    assert sorted(got["events"], key=str) == sorted(snapshot["events"], key=str)
    assert outcomes(gateway, "answered") == 1
    assert metric(gateway, "tidewire_one_off_read_seconds_count") == 1


async def test_a_subscription_resumes_from_the_position_of_an_answer(
    gateway: Gateway, http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    position = (await http.get("flights/JFK")).json()["position"]
    await publish(topics, "JFK/2", 2)
    async with gateway.connect() as client:
        subscribed = await client.subscribe("flights/JFK", since=position)
        updates = await client.expect("updates")
    assert subscribed["recovered"] == "changes"
    assert [e["key"] for e in updates["events"]] == ["JFK/2"]


@pytest.mark.parametrize("name", ["flights/JFK", "flights%2FJFK", "flights/%4AFK"])
async def test_group_is_read_however_its_name_is_encoded(
    http: httpx.AsyncClient, topics: MemoryTopics, name: str
) -> None:
    await publish(topics, "JFK/1", 1)
    await publish(topics, "LGA/1", 1)
    answer = await http.get(name)
    assert answer.json()["channel"] == "flights/JFK"
    assert values(answer) == {"JFK/1": 1}
    assert len(answer.json()["position"]["offsets"]) == 1


@pytest.mark.parametrize("name", ["places/us/ny/jfk", "places/us%2Fny%2Fjfk"])
async def test_group_may_have_slashes_in_its_name(
    http: httpx.AsyncClient, topics: MemoryTopics, name: str
) -> None:
    await topics.publish("places", "us/ny/jfk", 1)
    await topics.publish("places", "us/ny/lga", 2)
    assert values(await http.get(name)) == {"us/ny/jfk": 1}


async def test_stream_that_is_no_table_is_answered_with_what_the_node_holds(
    http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await topics.publish("notices", "n1", "late")
    answer = await http.get("notices")
    assert answer.json()["partial"] is True
    assert values(answer) == {"n1": "late"}


async def test_nothing_is_sent_again_until_something_has_moved(
    gateway: Gateway, http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    tag = (await http.get("flights")).headers["etag"]
    assert tag.startswith('"')
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = await http.get("flights", headers={"If-None-Match": header})
        assert unchanged.status_code == 304, header
        assert unchanged.content == b""
        assert unchanged.headers["etag"] == tag
        assert unchanged.headers["cache-control"] == "no-cache"
    await publish(topics, "JFK/1", 2)

    async def moved() -> httpx.Response | None:
        answer = await http.get("flights", headers={"If-None-Match": tag})
        return answer if answer.status_code == 200 else None

    answer = await eventually(moved, what="an answer that has moved")
    assert values(answer) == {"JFK/1": 2}
    assert answer.headers["etag"] != tag
    assert outcomes(gateway, "not_modified") >= 4


async def test_two_nodes_give_the_same_tag(make_gateway: Any, topics: MemoryTopics) -> None:
    await publish(topics, "JFK/1", 1)
    await publish(topics, "EWR/1", 1)
    async with (
        make_gateway() as one,
        make_gateway(node="node-2") as other,
        channels(one) as first,
        channels(other) as second,
    ):
        tag = (await first.get("flights")).headers["etag"]
        answer = await second.get("flights", headers={"If-None-Match": tag})
    assert answer.status_code == 304


async def test_head_answers_the_headers_alone(
    http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    whole, head = await http.get("flights"), await http.head("flights")
    assert head.status_code == 200
    assert head.content == b""
    assert "content-length" not in head.headers
    for name in ("etag", "content-type", "cache-control", "vary"):
        assert head.headers[name] == whole.headers[name]
    tag = {"If-None-Match": head.headers["etag"]}
    assert (await http.head("flights", headers=tag)).status_code == 304
    assert (await http.head("nope")).status_code == 404


async def test_rights_are_those_of_a_subscription(
    make_gateway: Any, topics: MemoryTopics, tmp_path: Path
) -> None:
    key = ensure_key(tmp_path / "token.key")
    await topics.publish("secret", "ops/1", 1)

    def bearer(caps: dict[str, list[Action]], ttl: float = 60) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(key, 'ann', caps, ttl=ttl)}"}

    reader = bearer({"secret/*": [Action.SUBSCRIBE]})
    async with make_gateway(token_key_file=tmp_path / "token.key") as gateway:
        async with channels(gateway) as http:
            assert values(await http.get("secret/ops", headers=reader)) == {"ops/1": 1}
            problem(await http.get("secret", headers=reader), 403, "forbidden")
            publisher = bearer({"secret/**": [Action.PUBLISH]})
            problem(await http.get("secret/ops", headers=publisher), 403, "forbidden")
            missing = await http.get("secret/ops")
            problem(missing, 401, "token-missing")
            assert missing.headers["www-authenticate"] == 'Bearer realm="tidewire"'
            basic = {"Authorization": "Basic dTpw"}
            problem(await http.get("secret/ops", headers=basic), 401, "token-missing")
            expired = await http.get("secret/ops", headers=bearer({}, ttl=-60))
            problem(expired, 401, "token-expired")
            assert 'error="invalid_token"' in expired.headers["www-authenticate"]
            bad = {"Authorization": "Bearer nonsense"}
            problem(await http.get("flights", headers=bad), 401, "token-invalid")
        assert (outcomes(gateway, "forbidden"), outcomes(gateway, "unauthorized")) == (2, 4)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "nope", 404, "unknown-channel"),
        ("GET", "nope/JFK", 404, "unknown-channel"),
        ("GET", "notices/group", 404, "unknown-channel"),
        ("GET", "@me", 404, "unknown-channel"),
        ("GET", "flights/", 400, "bad-channel"),
        ("GET", "flights/J%20K", 400, "bad-channel"),
        ("GET", "flights/%ff%00", 400, "bad-channel"),
        ("GET", "flights/J%252FK", 400, "bad-channel"),
        ("GET", "", 400, "bad-channel"),
        ("GET", "flights?token=x", 400, "token-in-query"),
        ("GET", "flights?Access_Token=x", 400, "token-in-query"),
        ("POST", "flights", 405, "method-not-allowed"),
        ("DELETE", "flights/JFK", 405, "method-not-allowed"),
    ],
)
async def test_request_is_refused(
    http: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await http.request(method, path)
    problem(answer, status, kind)
    assert ("allow" in answer.headers) is (status == 405)


async def test_partitions_are_read_for_the_answer_and_let_go_after_a_linger(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    async with make_gateway(linger=0.1) as gateway, channels(gateway) as http:
        assert metric(gateway, "tidewire_partitions_assigned") == 0
        assert values(await http.get("flights")) == {"JFK/1": 1}
        await eventually(
            lambda: metric(gateway, "tidewire_partitions_assigned") == 0,
            what="the partitions being let go",
        )
        assert values(await http.get("flights")) == {"JFK/1": 1}


async def test_partitions_that_linger_are_not_assigned_anew(
    gateway: Gateway, http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    await http.get("flights")
    held = dict(gateway.node.one_off._topologies["flights"].logs)
    for _ in range(3):
        assert (await http.get("flights")).status_code == 200
    assert gateway.node.one_off._topologies["flights"].logs == held


async def test_channel_that_cannot_be_read_in_time_is_unavailable(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    async with make_gateway(limits=SHORT) as gateway, channels(gateway) as http:
        assert (await http.get("places")).status_code == 200
        topics.broker.set_available(False)
        answer = await http.get("flights")
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert outcomes(gateway, "unavailable") == 1


async def test_topic_that_is_not_known_yet_is_waited_for(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    topics.broker.set_available(False)
    async with make_gateway() as gateway, channels(gateway) as http:
        answer = asyncio.create_task(http.get("flights"))
        await eventually(lambda: gateway.node.one_off._in_work == 1, what="a read that waits")
        topics.broker.set_available(True)
        assert values(await answer) == {"JFK/1": 1}


async def test_what_is_held_is_answered_as_stale_while_the_broker_is_away(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    await publish(topics, "JFK/1", 1)
    async with make_gateway(limits=SHORT) as gateway, channels(gateway) as http:
        fresh = await http.get("flights")
        topics.broker.set_available(False)

        async def state(name: str | None) -> httpx.Response | None:
            answer = await http.get("flights")
            return answer if answer.headers.get("tidewire-state") == name else None

        stale = await eventually(lambda: state("stale"), what="a stale answer")
        assert stale.status_code == 200
        assert stale.json() == fresh.json()
        assert int(stale.headers["tidewire-stale-ms"]) >= 0
        tag = {"If-None-Match": stale.headers["etag"]}
        unchanged = await http.get("flights/JFK", headers=tag)
        assert unchanged.status_code == 200
        unchanged = await http.get("flights", headers=tag)
        assert (unchanged.status_code, unchanged.headers["tidewire-state"]) == (304, "stale")
        assert outcomes(gateway, "stale") >= 1
        topics.broker.set_available(True)
        answer = await eventually(lambda: state(None), what="a fresh answer")
        assert "tidewire-stale-ms" not in answer.headers


async def test_recreated_topic_has_another_tag(make_gateway: Any, topics: MemoryTopics) -> None:
    async with make_gateway(topic_poll_interval=0.1) as gateway, channels(gateway) as http:
        await topics.publish("places", "jfk", 1)
        before = await http.get("places")
        admin = topics.broker.admin()
        admin.delete("places")
        admin.create(TopicSpec("places", 1, {}))
        await topics.publish("places", "lga", 2)
        tag = {"If-None-Match": before.headers["etag"]}

        async def moved() -> httpx.Response | None:
            answer = await http.get("places", headers=tag)
            return answer if answer.status_code == 200 else None

        answer = await eventually(moved, what="the topic as it is now")
        assert values(answer) == {"lga": 2}
        assert answer.json()["position"]["epoch"] != before.json()["position"]["epoch"]


async def test_only_so_many_are_read_at_once(make_gateway: Any, topics: MemoryTopics) -> None:
    await publish(topics, "JFK/1", 1)
    topics.broker.set_available(False)
    async with make_gateway(limits={"max_one_off_reads": 1}) as gateway:
        async with channels(gateway) as http, channels(gateway) as other:
            waiting = asyncio.create_task(http.get("flights"))
            await eventually(lambda: gateway.node.one_off._in_work == 1, what="a read that waits")
            refused = await other.get("flights")
            problem(refused, 503, "overloaded")
            assert int(refused.headers["retry-after"]) > 0
            topics.broker.set_available(True)
            assert (await waiting).status_code == 200
            assert (await other.get("flights")).status_code == 200
        assert outcomes(gateway, "overloaded") == 1


async def test_big_table_arrives_whole_in_slices(make_gateway: Any, topics: MemoryTopics) -> None:
    rows = {f"JFK/{n}": "x" * 900 for n in range(3000)}
    for key, data in rows.items():
        await publish(topics, key, data)
    async with make_gateway() as gateway, channels(gateway) as http:
        answer = await http.get("flights", timeout=30)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert values(answer) == rows


async def test_client_that_takes_nothing_loses_its_place(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    for n in range(160):
        await publish(topics, f"JFK/{n}", "x" * 200_000)
    limits = {"max_one_off_reads": 1, "stall_timeout": 0.3}
    async with make_gateway(limits=limits) as gateway, channels(gateway) as http:
        with socket.socket() as taker:
            taker.setblocking(False)
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(taker, ("127.0.0.1", gateway.port))
            request = b"GET /v1/channels/flights HTTP/1.1\r\nHost: x\r\n\r\n"
            await loop.sock_sendall(taker, request)
            await eventually(lambda: outcomes(gateway, "cut_off") == 1, what="the cut")
            assert (await http.get("places")).status_code == 200


async def test_answer_is_read_while_the_channel_goes_on(
    http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    for n in range(2000):
        await publish(topics, f"JFK/{n}", {"n": n, "pad": "x" * 400})
    async with http.stream("GET", "flights") as answer:
        parts = answer.aiter_raw()
        body = [await anext(parts)]
        for n in range(500):
            await publish(topics, f"JFK/{n}", None)
        body += [part async for part in parts]
    got = json.loads(b"".join(body))
    assert len(got["events"]) == sum(got["position"]["offsets"].values()) == 2000


async def test_openapi_describes_every_answer(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.http) as http:
        schema = (await http.get("/openapi.json")).json()
    operations = schema["paths"]["/v1/channels/{channel}"]
    assert set(operations) == {"get", "head"}
    assert operations["get"]["operationId"] != operations["head"]["operationId"]
    for operation in operations.values():
        answers = operation["responses"]
        assert set(answers) == {"200", "304", "400", "401", "403", "404", "503"}
        assert set(answers["200"]["headers"]) >= {"ETag", "Cache-Control", "Tidewire-State"}
        assert "Retry-After" in answers["503"]["headers"]
        assert "WWW-Authenticate" in answers["401"]["headers"]
        for status, answer in answers.items():
            media = {"200": ["application/json"], "304": []}
            expected = media.get(status, ["application/problem+json"])
            assert list(answer.get("content", {})) == expected, status
        named = [(p["name"], p["in"]) for p in operation["parameters"]]
        assert named == [("channel", "path"), ("If-None-Match", "header")]
        assert {} in operation["security"]
        assert {"token": []} in operation["security"]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


async def test_answer_is_the_one_in_the_document(
    http: httpx.AsyncClient, topics: MemoryTopics
) -> None:
    text = DOCUMENT.read_text().partition("# Reading a channel once")[2]
    shown = json.loads(next(line for line in text.splitlines() if line.startswith('{"channel"')))
    [event] = shown["events"]
    partition = partition_of(b"JFK", 2)
    await topics.publish(
        "flights", event["key"], event["data"], partition=partition, ts=event["ts"]
    )
    answer = await http.get(shown["channel"])
    got = answer.json()
    assert list(got) == list(shown)
    assert {**got["events"][0], "offset": event["offset"]} == event
    assert list(got["position"]) == list(shown["position"])
    position = got["position"]
    assert answer.headers["etag"] == f'"{position["epoch"]}.{partition}-1"'
