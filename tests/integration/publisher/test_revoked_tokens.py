"""The publisher and tokens that are revoked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from harness.waiting import eventually
from integration.publisher.serving import KEY, STREAMS, client_of, refused, settings
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire.revocation.records import (
    REVOCATIONS,
    Kind,
    Revocation,
    Subject,
    revocation_record,
)
from tidewire_publisher.app import create_app

ANN = Subject(Kind.USER, "ann")
FOREVER = Revocation(4e9)
EVENT = {"key": "a", "data": 1}
TO_USER = {"data": 1}


@pytest.fixture
def token() -> str:
    return issue_token(KEY, "ann", {"**": [Action.PUBLISH]}, ttl=60)


@pytest.fixture
def with_topic(broker: MemoryBroker) -> MemoryBroker:
    broker.create(TopicSpec(REVOCATIONS, 1, {}))
    return broker


@asynccontextmanager
async def publisher(
    broker: MemoryBroker, token: str, *, is_awaited: bool = True, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        settings(topic_poll_interval=0.05, **changes),
        streams=STREAMS,
        verifier=TokenVerifier(KEY),
        writer=broker.writer(),
        revocation_reader=broker.reader(),
    )
    async with client_of(app, is_awaited=is_awaited) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def revoke(broker: MemoryBroker, revocation: Revocation | None = FOREVER) -> None:
    broker.append(revocation_record(REVOCATIONS, ANN, revocation))


async def is_refused(client: httpx.AsyncClient) -> bool:
    answer = await client.post("/v1/events/flights", json=EVENT)
    return answer.status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events/flights", EVENT),
        ("/v1/users/ann/events", TO_USER),
        ("/v1/push", {"user": "ann", "data": 1}),
    ],
)
async def test_revoked_token_publishes_nothing(
    with_topic: MemoryBroker, token: str, path: str, body: dict[str, Any]
) -> None:
    revoke(with_topic)
    async with publisher(with_topic, token) as client:
        problem = refused(await client.post(path, json=body), 401, "token-invalid")
        assert problem["detail"] == "the token was revoked"


async def test_token_is_refused_from_the_moment_that_its_revocation_was_read(
    with_topic: MemoryBroker, token: str
) -> None:
    async with publisher(with_topic, token) as client:
        assert not await is_refused(client)
        revoke(with_topic)
        await eventually(lambda: is_refused(client))
        revoke(with_topic, None)

        async def is_taken() -> bool:
            return not await is_refused(client)

        await eventually(is_taken)


async def test_record_that_is_no_revocation_is_passed_over(
    with_topic: MemoryBroker, token: str
) -> None:
    with_topic.append(NewRecord(REVOCATIONS, 0, b"user/ann", b"poison"))
    async with publisher(with_topic, token) as client:
        assert not await is_refused(client)
        exposed = (await client.get("/metrics")).text
        assert 'tidewire_revocation_records_total{outcome="skipped"} 1.0' in exposed


async def test_no_token_is_taken_before_it_is_known_what_is_revoked(
    with_topic: MemoryBroker, token: str
) -> None:
    revoke(with_topic)
    with_topic.set_available(False)
    async with publisher(with_topic, token, is_awaited=False) as client:
        answer = await client.post("/v1/events/flights", json=EVENT)
        refused(answer, 503, "token-undecided")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/startupz")).status_code == 503
        with_topic.set_available(True)
        await eventually(lambda: is_refused(client))

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await eventually(is_ready)
        with_topic.set_available(False)
        assert (await client.get("/readyz")).status_code == 200


async def test_missing_topic_keeps_nobody_out_and_is_taken_up_when_it_comes(
    broker: MemoryBroker, token: str
) -> None:
    async with publisher(broker, token) as client:
        assert not await is_refused(client)
        broker.create(TopicSpec(REVOCATIONS, 1, {}))
        revoke(broker)
        await eventually(lambda: is_refused(client))
