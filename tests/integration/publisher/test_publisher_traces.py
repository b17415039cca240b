"""Requests become `send` spans, and what is written or called goes on with them."""

import asyncio
import json

import httpx
import pytest

from harness.spans import SpanKeeper, attributes_of, header_of, parent_of
from harness.waiting import eventually
from integration.publisher.serving import TARGETED, TRACE, publisher, records
from integration.publisher.test_pushes import delivers, place, registry_of
from tidewire.kafka.memory import MemoryBroker
from tidewire.targeting.registry_http import HttpRegistry

HEADERS = {"Content-Type": "application/json", "traceparent": TRACE}


@pytest.mark.parametrize(
    ("path", "body", "topic"),
    [
        ("/v1/events/flights", {"key": "JFK/1", "data": 1}, "flights"),
        ("/v1/users/ann/events", {"data": 1}, TARGETED),
    ],
)
async def test_an_events_span_goes_on_with_the_requests_trace(
    broker: MemoryBroker, path: str, body: object, topic: str
) -> None:
    spans = SpanKeeper()
    async with publisher(broker, tracer=spans.tracer) as client:
        answer = await client.post(path, json=body, headers=HEADERS)
        assert answer.status_code == 200
    [span] = spans.ended
    [record] = await records(broker, topic)
    assert (span.name, parent_of(span)) == (f"send {topic}", TRACE)
    assert dict(record.headers)["traceparent"] == header_of(span).encode()
    told = attributes_of(span)
    assert told["messaging.kafka.offset"] == record.offset
    assert told["messaging.message.id"] == dict(record.headers)["ce_id"].decode()


async def test_a_span_ends_with_the_acknowledgement(broker: MemoryBroker) -> None:
    spans = SpanKeeper()
    broker.hold_acknowledgements(True)
    async with publisher(broker, tracer=spans.tracer) as client:
        body = {"key": "JFK/1", "data": 1}
        asking = asyncio.create_task(client.post("/v1/events/flights", json=body, headers=HEADERS))
        assert (await client.get("/healthz")).status_code == 200
        assert not spans.ended
        broker.hold_acknowledgements(False)
        assert (await asking).status_code == 200
    assert len(spans.ended) == 1


async def test_what_kafka_refuses_is_an_error(broker: MemoryBroker) -> None:
    spans = SpanKeeper()
    async with publisher(broker, tracer=spans.tracer) as client:
        broker.set_available(False)
        body = {"key": "JFK/1", "data": 1}
        answer = await client.post("/v1/events/flights", json=body, headers=HEADERS)
        assert answer.status_code == 503
        broker.set_available(True)
    assert [attributes_of(span)["error.type"] for span in spans.ended] == ["BrokerUnavailableError"]


async def test_a_push_takes_its_span_along_to_the_node() -> None:
    spans = SpanKeeper()
    asked: list[httpx.Request] = []

    async def node(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        assert not spans.ended
        return await delivers(request)

    registry = httpx.MockTransport(registry_of({"ann": [place("gw-1", "c1")]}))
    async with publisher(
        MemoryBroker(),
        registry=HttpRegistry("http://registry", transport=registry),
        node_transport=httpx.MockTransport(node),
        tracer=spans.tracer,
    ) as client:
        body = {"user": "ann", "data": {"n": 1}, "id": "p-1"}
        answer = await client.post("/v1/push", content=json.dumps(body), headers=HEADERS)
        assert answer.status_code == 200
    [span] = spans.ended
    assert (span.name, parent_of(span)) == ("send @me", TRACE)
    assert [request.headers["traceparent"] for request in asked] == [header_of(span)]
    assert attributes_of(span) == {
        "messaging.system": "tidewire",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "@me",
        "messaging.message.id": "p-1",
        "messaging.message.body.size": 8,
    }


async def test_a_push_without_devices_has_a_span_all_the_same() -> None:
    spans = SpanKeeper()
    async with publisher(
        MemoryBroker(),
        registry=HttpRegistry("http://registry", transport=httpx.MockTransport(registry_of({}))),
        node_transport=httpx.MockTransport(delivers),
        tracer=spans.tracer,
    ) as client:
        body = {"user": "ann", "data": 1}
        answer = await client.post("/v1/push", json=body)
        assert answer.json()["outcome"] == "offline"
    await eventually(lambda: len(spans.named("send @me")) == 1)
