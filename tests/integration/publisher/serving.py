"""The publisher's application over an in-memory broker, and what tests ask of its answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from opentelemetry.trace import Tracer

from tidewire.config.streams import Stream
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import Record, TopicPartition
from tidewire.targeting.registry import Registry
from tidewire_publisher.app import create_app
from tidewire_publisher.settings import PublisherSettings

KEY = bytes(range(32))
STREAMS = {
    "flights": Stream(topic="flights", partitions=3, group="key-prefix"),
    "notices": Stream(topic="notices"),
    "unmade": Stream(topic="unmade"),
}
TARGETED = "tidewire.targeted"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def settings(**changes: Any) -> PublisherSettings:
    """Of development, unless told otherwise; then as behind a proxy that speaks TLS."""
    given = {"dev": True, "trust_proxy_tls": not changes.get("dev", True)} | changes
    return PublisherSettings(streams=Path("streams.yaml"), **given)


@asynccontextmanager
async def client_of(app: FastAPI, *, is_awaited: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Once the application has started, unless it ``is_awaited`` no longer than until it listens."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://publisher") as client,
    ):
        if is_awaited:
            await app.state.started.wait()
        yield client


@asynccontextmanager
async def publisher(
    broker: MemoryBroker,
    *,
    verifier: TokenVerifier | None = None,
    registry: Registry | None = None,
    node_transport: httpx.AsyncBaseTransport | None = None,
    tracer: Tracer | None = None,
    **changes: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        settings(**changes),
        streams=STREAMS,
        verifier=verifier,
        writer=broker.writer(),
        registry=registry,
        node_transport=node_transport,
        tracer=tracer,
    )
    async with client_of(app) as client:
        yield client


async def records(broker: MemoryBroker, topic: str) -> list[Record]:
    reader = broker.reader()
    await reader.start()
    partitions = range(broker.partitions_of(topic))
    await reader.assign({TopicPartition(topic, p): 0 for p in partitions})
    found = await reader.fetch(max_records=100, max_wait=0.0)
    await reader.close()
    return list(found.records)


def refused(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:tidewire:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem
