import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from harness.waiting import eventually
from integration.publisher.serving import (
    KEY,
    STREAMS,
    TRACE,
    client_of,
    publisher,
    records,
    refused,
    settings,
)
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.memory import MemoryBroker
from tidewire_publisher.app import create_app


async def test_an_event_is_written_as_the_bytes_that_came(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    answer = await client.post(
        "/v1/events/flights",
        content=b'{"key":"JFK/B6-704", "data": {"b": 1.10,"a":"\\u00e9"} ,"headers":{"tenant":"x"}}',
        headers={"Content-Type": "application/json", "traceparent": TRACE},
    )
    assert answer.status_code == 200
    [record] = await records(broker, "flights")
    assert answer.json() == {
        "events": [{"topic": "flights", "partition": record.partition, "offset": record.offset}]
    }
    headers = dict(record.headers)
    assert record.key == b"JFK/B6-704"
    assert record.value == b'{"b": 1.10,"a":"\\u00e9"}'
    assert headers["tenant"] == b"x"
    assert headers["traceparent"] == TRACE.encode()
    assert headers["ce_source"] == b"tidewire-publisher"


async def test_a_batch_answers_positions_in_its_order(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    batch = [{"key": f"JFK/{n % 2}", "data": n} for n in range(20)]
    answer = await client.post("/v1/events/flights", json=batch)
    assert answer.status_code == 200
    written = {(r.partition, r.offset): r for r in await records(broker, "flights")}
    positions = [(e["partition"], e["offset"]) for e in answer.json()["events"]]
    assert [json.loads(written[p].value or b"") for p in positions] == list(range(20))
    assert len({p for p, _ in positions}) == 1, "one group, one partition"
    assert positions == sorted(positions)


async def test_null_removes_the_entity(broker: MemoryBroker, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events/notices", json={"key": "a", "data": None})
    assert answer.status_code == 200
    assert [r.value for r in await records(broker, "notices")] == [None]


async def test_a_structured_cloudevent_keeps_its_attributes(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    event = {
        "specversion": "1.0",
        "id": "42",
        "source": "/airport",
        "type": "flight.departed",
        "time": "2013-01-01T05:17:00Z",
        "subject": "JFK/1",
        "data": {"delay": 3},
    }
    for content_type, body in [
        ("application/cloudevents+json", event),
        ("application/cloudevents-batch+json", [event]),
    ]:
        answer = await client.post(
            "/v1/events/flights",
            content=json.dumps(body),
            headers={"Content-Type": content_type},
        )
        assert answer.status_code == 200
    for record in await records(broker, "flights"):
        headers = dict(record.headers)
        assert record.key == b"JFK/1"
        assert (headers["ce_id"], headers["ce_source"]) == (b"42", b"/airport")
        assert (headers["ce_type"], headers["ce_time"]) == (
            b"flight.departed",
            b"2013-01-01T05:17:00Z",
        )


async def test_bad_json_is_told_with_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/events/flights",
        content=b'{"key":"a",\n"data":nul}',
        headers={"Content-Type": "application/json"},
    )
    assert "line 2 column" in refused(answer, 400, "bad-json")["detail"]


async def test_a_missing_key_is_named_with_its_cure(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events/flights", json={"data": 1})
    [error] = refused(answer, 422, "invalid-event")["errors"]
    assert error == {
        "field": "key",
        "message": "is missing: name the entity that the event is about",
    }


async def test_a_batch_with_one_bad_event_writes_none(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    batch = [{"key": "a", "data": 1}, {"key": "b"}, {"key": "c" * 2000, "data": 1}]
    problem = refused(await client.post("/v1/events/notices", json=batch), 422, "invalid-event")
    assert [e["field"] for e in problem["errors"]] == ["[1].data"]
    problem = refused(
        await client.post("/v1/events/notices", json=[batch[0], batch[2]]), 422, "invalid-event"
    )
    assert [e["field"] for e in problem["errors"]] == ["[1].key"]
    assert await records(broker, "notices") == []


async def test_an_unknown_stream_lists_the_known_ones_in_development_only(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/v1/events/nope", json={"key": "a", "data": 1})
    assert "known: flights, notices, unmade" in refused(answer, 404, "unknown-stream")["detail"]
    token = issue_token(KEY, "ann", {"**": [Action.PUBLISH]}, ttl=60)
    async with publisher(
        broker, verifier=TokenVerifier(KEY), dev=False, token_key_file=Path("k")
    ) as strict:
        answer = await strict.post(
            "/v1/events/nope",
            json={"key": "a", "data": 1},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert "known" not in refused(answer, 404, "unknown-stream")["detail"]


async def test_another_media_type_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events/flights", content=b"x")
    refused(answer, 415, "unsupported-media-type")
    assert "application/json" in answer.headers["accept-post"]


async def test_sizes_are_bounded(broker: MemoryBroker) -> None:
    async with publisher(
        broker, max_body_bytes=200, max_event_bytes=50, max_batch_events=2
    ) as client:

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b" " * 10

        too_long = await client.post("/v1/events/flights", json={"key": "a", "data": "x" * 300})
        assert "200 bytes" in refused(too_long, 413, "body-too-large")["detail"]
        undeclared = await client.post(
            "/v1/events/flights", content=chunks(), headers={"Content-Type": "application/json"}
        )
        refused(undeclared, 413, "body-too-large")
        event = await client.post("/v1/events/flights", json={"key": "a", "data": "x" * 60})
        assert refused(event, 413, "event-too-large")["errors"][0]["field"] == "data"
        many = await client.post("/v1/events/flights", json=[{"key": "a", "data": 1}] * 3)
        refused(many, 413, "batch-too-large")
    assert await records(broker, "flights") == []


async def test_a_body_that_never_ends_is_given_up(broker: MemoryBroker) -> None:
    async def silence() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with publisher(broker, body_timeout=0.05) as client:
        answer = await client.post(
            "/v1/events/flights", content=silence(), headers={"Content-Type": "application/json"}
        )
    refused(answer, 408, "body-timeout")
    assert answer.headers["connection"] == "close"


async def test_a_missing_topic_names_the_command_that_makes_it(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events/unmade", json={"key": "a", "data": 1})
    assert "tidewire topics apply" in refused(answer, 503, "topic-missing")["detail"]
    assert int(answer.headers["retry-after"]) > 0


async def test_a_broker_that_is_away_asks_to_try_again(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    broker.set_available(False)
    answer = await client.post("/v1/events/flights", json={"key": "a", "data": 1})
    refused(answer, 503, "broker-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/readyz")).status_code == 200
    broker.set_available(True)
    assert (
        await client.post("/v1/events/flights", json={"key": "a", "data": 1})
    ).status_code == 200


async def test_a_broker_that_is_away_at_the_start_is_found_later(broker: MemoryBroker) -> None:
    broker.set_available(False)
    async with publisher(broker) as client:
        event = {"key": "a", "data": 1}
        refused(await client.post("/v1/events/flights", json=event), 503, "broker-unavailable")
        broker.set_available(True)

        async def is_published() -> bool | None:
            return (await client.post("/v1/events/flights", json=event)).status_code == 200

        connected: bool = await eventually(is_published, what="the publisher connects by itself")
        assert connected


async def test_an_acknowledgement_that_does_not_come_is_not_waited_for(
    broker: MemoryBroker,
) -> None:
    async with publisher(broker, publish_timeout=0.05) as client:
        broker.hold_acknowledgements(True)
        answer = await client.post("/v1/events/flights", json={"key": "a", "data": 1})
        broker.hold_acknowledgements(False)
    assert "may have been written" in refused(answer, 503, "broker-unavailable")["detail"]


async def test_what_is_in_work_is_bounded(broker: MemoryBroker) -> None:
    event = {"key": "a", "data": "x" * 200}
    async with publisher(broker, max_body_bytes=300, max_pending_bytes=300) as client:
        broker.hold_acknowledgements(True)
        first = asyncio.create_task(client.post("/v1/events/flights", json=event))

        async def is_full() -> httpx.Response | None:
            answer = await client.post("/v1/events/flights", json=event | {"key": ""})
            return answer if answer.status_code == 503 else None

        answer: httpx.Response = await eventually(is_full, what="the first request holds the room")
        refused(answer, 503, "buffer-full")
        assert int(answer.headers["retry-after"]) > 0
        broker.hold_acknowledgements(False)
        assert (await first).status_code == 200
        assert (await client.post("/v1/events/flights", json=event)).status_code == 200


async def test_a_batch_that_kafka_takes_in_part_tells_which(
    broker: MemoryBroker, client: httpx.AsyncClient
) -> None:
    batch = [
        {"key": "a", "data": 1},
        {"key": "b", "data": "x" * 3000},
        {"key": "c", "data": 3},
    ]
    answer = await client.post("/v1/events/notices", json=batch)
    problem = refused(answer, 413, "event-too-large")
    assert "2 of 3 events were written" in problem["detail"]
    assert [error["field"] for error in problem["errors"]] == ["[1]"]
    assert problem["events"] == [
        {"topic": "notices", "partition": 0, "offset": 0},
        None,
        {"topic": "notices", "partition": 0, "offset": 1},
    ]


async def test_the_end_flushes_what_was_accepted(broker: MemoryBroker) -> None:
    writer = broker.writer()
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=writer)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_of(app))
        broker.hold_acknowledgements(True)
        request = asyncio.create_task(
            client.post("/v1/events/notices", json={"key": "a", "data": 1})
        )
        await eventually(lambda: writer._in_flight, what="the event is on its way")
        closing = asyncio.create_task(stack.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        broker.hold_acknowledgements(False)
        assert (await request).status_code == 200
        await closing
    assert len(await records(broker, "notices")) == 1


@pytest.mark.parametrize(
    ("authorization", "status", "kind"),
    [
        (None, 401, "token-missing"),
        ("Basic eDp5", 401, "token-missing"),
        ("Bearer ", 401, "token-missing"),
        ("Bearer x.y.z", 401, "token-invalid"),
        ("expired", 401, "token-expired"),
        ("reader", 403, "forbidden"),
        ("groups", 403, "forbidden"),
    ],
)
async def test_outside_development_only_a_token_with_the_right_may_publish(
    broker: MemoryBroker, authorization: str | None, status: int, kind: str
) -> None:
    tokens = {
        "expired": issue_token(KEY, "ann", {"**": [Action.PUBLISH]}, ttl=-60),
        "reader": issue_token(KEY, "ann", {"flights": [Action.SUBSCRIBE]}, ttl=60),
        "groups": issue_token(KEY, "ann", {"flights/*": [Action.PUBLISH]}, ttl=60),
    }
    headers = {}
    if authorization is not None:
        known = tokens.get(authorization)
        headers["Authorization"] = f"Bearer {known}" if known else authorization
    async with publisher(
        broker, verifier=TokenVerifier(KEY), dev=False, token_key_file=Path("k")
    ) as client:
        answer = await client.post(
            "/v1/events/flights", json={"key": "a", "data": 1}, headers=headers
        )
    refused(answer, status, kind)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert await records(broker, "flights") == []


async def test_a_token_with_the_right_publishes(broker: MemoryBroker) -> None:
    token = issue_token(KEY, "ann", {"flights/**": [Action.PUBLISH]}, ttl=60)
    async with publisher(
        broker, verifier=TokenVerifier(KEY), dev=False, token_key_file=Path("k")
    ) as client:
        answer = await client.post(
            "/v1/events/flights",
            json={"key": "a", "data": 1},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 200


async def test_development_takes_no_token_but_refuses_a_bad_one(broker: MemoryBroker) -> None:
    event = {"key": "a", "data": 1}
    async with publisher(broker, verifier=TokenVerifier(KEY), token_key_file=Path("k")) as client:
        assert (await client.post("/v1/events/flights", json=event)).status_code == 200
        answer = await client.post(
            "/v1/events/flights", json=event, headers={"Authorization": "Bearer bad"}
        )
    refused(answer, 401, "token-invalid")


async def test_a_token_in_the_address_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events/flights?access_token=x", json={"key": "a", "data": 1})
    refused(answer, 400, "token-in-query")


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    refused(await client.get("/nope"), 404, "not-found")
    answer = await client.get("/v1/events/flights")
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_health_and_metrics(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    await client.post("/v1/events/flights", json=[{"key": "a", "data": 1}] * 3)
    await client.post("/v1/events/flights", json={"data": 1})
    text = (await client.get("/metrics")).text
    assert 'tidewire_events_published_total{outcome="written"} 3.0' in text
    assert 'tidewire_events_published_total{outcome="invalid"} 1.0' in text
    assert "tidewire_publish_seconds_count 1.0" in text


async def test_openapi_describes_what_is_taken_and_answered(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/v1/events/{stream}"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    }
    assert {"200", "400", "401", "403", "404", "408", "413", "415", "422", "503"} <= set(
        operation["responses"]
    )
    for status, answer in operation["responses"].items():
        expected = "application/json" if status == "200" else "application/problem+json"
        assert list(answer["content"]) == [expected], status
    references = {
        part.split('"')[0] for part in json.dumps(schema).split('"#/components/schemas/')[1:]
    }
    assert references <= set(schema["components"]["schemas"])


async def test_a_bug_is_a_problem_without_its_trace(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = broker.writer()

    async def broken(topic: str) -> int:
        raise RuntimeError("hush")

    monkeypatch.setattr(writer, "partitions_of", broken)
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=writer)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://publisher") as client,
    ):
        await app.state.started.wait()
        answer = await client.post("/v1/events/flights", json={"key": "a", "data": 1})
    refused(answer, 500, "internal")
    assert "hush" not in answer.text


async def test_an_end_that_cannot_flush_is_bounded_and_told(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    writer = broker.writer()
    limits = settings(publish_timeout=30, shutdown_timeout=0.05)
    app = create_app(limits, streams=STREAMS, verifier=None, writer=writer)
    async with client_of(app) as client:
        broker.hold_acknowledgements(True)
        request = asyncio.create_task(
            client.post("/v1/events/notices", json={"key": "a", "data": 1})
        )
        await eventually(lambda: writer._in_flight, what="the event is on its way")
    assert "closed before Kafka had acknowledged everything" in caplog.text
    assert not request.done(), "the end did not wait for the broker"
    broker.hold_acknowledgements(False)
    await request
