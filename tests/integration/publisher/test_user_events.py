import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from harness.waiting import eventually
from integration.publisher.serving import KEY, TARGETED, TRACE, publisher, records, refused
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec
from tidewire.targeting.messages import Message, message_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "http-api.md"
EVENTS = "/v1/users/ann/events"


async def messages(broker: MemoryBroker, topic: str = TARGETED) -> list[Message]:
    """As a router reads them."""
    return [message_of(record, partitions=12) for record in await records(broker, topic)]


async def test_an_event_is_written_as_the_bytes_that_came(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    answer = await client.post(
        EVENTS,
        content=b'{"data": {"b": 1.10} ,"ttl_ms":1500,"collapse_key":"gate","id":"m-1"}',
        headers={"Content-Type": "application/json", "traceparent": TRACE},
    )
    assert answer.status_code == 200, answer.text
    [message] = await messages(broker)
    assert message == Message(
        user="ann",
        id="m-1",
        data=b'{"b": 1.10}',
        ts_ms=message.ts_ms,
        ttl_ms=1500,
        collapse_key="gate",
        partition=message.partition,
        offset=0,
        traceparent=TRACE,
    )
    assert answer.json() == {
        "events": [{"topic": TARGETED, "partition": message.partition, "offset": 0}]
    }
    [record] = await records(broker, TARGETED)
    headers = dict(record.headers)
    assert headers["ce_type"] == b"tidewire.targeted"
    assert headers["ce_source"] == b"tidewire-publisher"


async def test_the_example_of_the_document_is_taken(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Events to one user")[2]
    shown = next(line for line in text.splitlines() if line.startswith('{"data"'))
    answer = await client.post(EVENTS, content=shown, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    [message] = await messages(broker)
    assert message.id == json.loads(shown)["id"]
    told = next(line for line in text.splitlines() if line.startswith('{"events"'))
    assert list(json.loads(told)["events"][0]) == list(answer.json()["events"][0])


async def test_a_batch_answers_positions_in_its_order(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    answer = await client.post(EVENTS, json=[{"data": n} for n in range(20)])
    assert answer.status_code == 200
    assert [e["offset"] for e in answer.json()["events"]] == list(range(20))
    assert [json.loads(m.data) for m in await messages(broker)] == list(range(20))


@pytest.mark.parametrize(
    "user", ["a/b", "..", "events", "a/events", "two words", "%2F", "é", "a?b#c"]
)
async def test_any_user_is_reached_percent_encoded(
    broker: MemoryBroker, client: httpx.AsyncClient, user: str
) -> None:
    encoded = quote(user, safe="").replace(".", "%2E")
    answer = await client.post(f"/v1/users/{encoded}/events", json={"data": 1})
    assert answer.status_code == 200, answer.text
    assert [message.user for message in await messages(broker)] == [user]


async def test_slashes_may_stand_as_they_are(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    assert (await client.post("/v1/users/a/b/events", json={"data": 1})).status_code == 200
    assert [message.user for message in await messages(broker)] == ["a/b"]


@pytest.mark.parametrize("user", ["", "a%00b", "%FF", "x" * 256])
async def test_a_user_that_nobody_can_be_is_refused(
    broker: MemoryBroker, client: httpx.AsyncClient, user: str
) -> None:
    answer = await client.post(f"/v1/users/{user}/events", json={"data": 1})
    problem = refused(answer, 422, "invalid-event")
    assert [error["field"] for error in problem["errors"]] == ["user"]
    assert await messages(broker) == []


async def test_a_batch_with_one_bad_event_writes_none(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    for bad, field in [
        ({"data": None}, "[1].data"),
        ({}, "[1].data"),
        ({"data": 1, "ttl_ms": -1}, "[1].ttl_ms"),
        ({"data": 1, "collapse_key": "x" * 256}, "[1].collapse_key"),
        ({"data": 1, "id": "x" * 256}, "[1].id"),
        ({"data": 1, "key": "k"}, "[1].key"),
    ]:
        problem = refused(await client.post(EVENTS, json=[{"data": 1}, bad]), 422, "invalid-event")
        assert [error["field"] for error in problem["errors"]] == [field]
    assert await messages(broker) == []


async def test_sizes_are_bounded(broker: MemoryBroker) -> None:
    async with publisher(broker, max_body_bytes=200, max_event_bytes=50, max_batch_events=2) as c:
        refused(await c.post(EVENTS, json={"data": "x" * 300}), 413, "body-too-large")
        event = await c.post(EVENTS, json={"data": "x" * 60})
        assert refused(event, 413, "event-too-large")["errors"][0]["field"] == "data"
        refused(await c.post(EVENTS, json=[{"data": 1}] * 3), 413, "batch-too-large")
    assert await messages(broker) == []


async def test_only_json_is_taken(client: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/cloudevents+json"):
        answer = await client.post(
            EVENTS, content=b'{"data":1}', headers={"Content-Type": content_type}
        )
        refused(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-post"] == "application/json"


async def test_a_missing_topic_and_a_broker_that_is_away_ask_to_try_again(
    broker: MemoryBroker,
) -> None:
    async with publisher(broker, targeted_topic="unmade") as client:
        answer = await client.post(EVENTS, json={"data": 1})
        assert "tidewire topics apply" in refused(answer, 503, "topic-missing")["detail"]
    async with publisher(broker) as client:
        broker.set_available(False)
        answer = await client.post(EVENTS, json={"data": 1})
        refused(answer, 503, "broker-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        broker.set_available(True)
        assert (await client.post(EVENTS, json={"data": 1})).status_code == 200


async def test_the_targeted_topic_is_a_setting(broker: MemoryBroker) -> None:
    broker.create(TopicSpec("elsewhere", 12, {}))
    async with publisher(broker, targeted_topic="elsewhere") as client:
        assert (await client.post(EVENTS, json={"data": 1})).status_code == 200
    assert len(await messages(broker, "elsewhere")) == 1


@pytest.mark.parametrize(
    ("caps", "user", "status"),
    [
        ({"@user/ann": [Action.PUBLISH]}, "ann", 200),
        ({"@user/*": [Action.PUBLISH]}, "ann", 200),
        ({"@user/*": [Action.PUBLISH]}, "a%2Fb", 403),
        ({"@user/**": [Action.PUBLISH]}, "a%2Fb", 200),
        ({"@user/*": [Action.SUBSCRIBE]}, "ann", 403),
        ({"@user/bob": [Action.PUBLISH]}, "ann", 403),
        ({"ann": [Action.PUBLISH]}, "ann", 403),
        ({}, "ann", 403),
        (None, "ann", 401),
    ],
)
async def test_outside_development_only_a_token_with_the_right_may_publish(
    broker: MemoryBroker, caps: dict[str, list[Action]] | None, user: str, status: int
) -> None:
    headers = {}
    if caps is not None:
        headers["Authorization"] = f"Bearer {issue_token(KEY, 'service', caps, ttl=60)}"
    async with publisher(
        broker, verifier=TokenVerifier(KEY), dev=False, token_key_file=Path("k")
    ) as client:
        answer = await client.post(f"/v1/users/{user}/events", json={"data": 1}, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(await messages(broker)) == (1 if status == 200 else 0)
    if status == 403:
        assert "@user/" in refused(answer, 403, "forbidden")["detail"]


async def test_a_token_in_the_address_is_refused(client: httpx.AsyncClient) -> None:
    refused(await client.post(f"{EVENTS}?token=x", json={"data": 1}), 400, "token-in-query")


async def test_what_is_in_work_is_bounded_together_with_streams(broker: MemoryBroker) -> None:
    async with publisher(broker, max_body_bytes=100, max_pending_bytes=100) as client:
        broker.hold_acknowledgements(True)
        first = asyncio.create_task(client.post(EVENTS, json={"data": "x" * 80}))

        async def is_full() -> httpx.Response | None:
            answer = await client.post("/v1/events/flights", json={"key": "", "data": 1})
            return answer if answer.status_code == 503 else None

        answer: httpx.Response = await eventually(is_full, what="the first request holds the room")
        refused(answer, 503, "buffer-full")
        broker.hold_acknowledgements(False)
        assert (await first).status_code == 200


async def test_metrics_count_them_apart_from_streams(client: httpx.AsyncClient) -> None:
    await client.post(EVENTS, json=[{"data": 1}] * 3)
    await client.post(EVENTS, json={"data": None})
    text = (await client.get("/metrics")).text
    assert 'tidewire_user_events_published_total{outcome="written"} 3.0' in text
    assert 'tidewire_user_events_published_total{outcome="invalid"} 1.0' in text
    assert 'tidewire_events_published_total{outcome="written"} 0.0' in text


async def test_openapi_describes_it(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/v1/users/{user}/events"]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/json"]
    assert {"200", "400", "401", "403", "408", "413", "415", "422", "502", "503"} <= set(
        operation["responses"]
    )
    assert [parameter["name"] for parameter in operation["parameters"]] == ["user"]
