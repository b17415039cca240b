"""A publisher from the moment that it listens to its end: what it says of itself, and what it answers."""

import asyncio

import httpx
import pytest

from integration.publisher.serving import STREAMS, client_of, refused, settings
from tidewire.kafka.memory import MemoryBroker
from tidewire_publisher.app import create_app


async def test_it_listens_while_the_broker_is_asked_for_the_first_time(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells that it has not started; it has once that has ended, however."""
    writer, answers = broker.writer(), asyncio.Event()
    first_attempt = writer.start

    async def slow() -> None:
        await answers.wait()
        await first_attempt()

    monkeypatch.setattr(writer, "start", slow)
    broker.set_available(False)
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=writer)
    async with client_of(app, is_awaited=False) as client:
        assert await health(client) == [(200, "ok\n"), (503, "starting\n"), (503, "starting\n")]
        event = {"key": "a", "data": 1}
        refused(await client.post("/v1/events/flights", json=event), 503, "broker-unavailable")
        answers.set()
        await app.state.started.wait()
        assert await health(client) == [(200, "ok\n"), (200, "started\n"), (200, "ready\n")]


async def test_it_drains_from_the_signal_on_and_not_only_when_it_listens_no_more(
    broker: MemoryBroker,
) -> None:
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=broker.writer())
    async with client_of(app) as client:
        app.state.drain()
        assert await health(client) == [(200, "ok\n"), (200, "started\n"), (503, "draining\n")]
        event = {"key": "a", "data": 1}
        assert (await client.post("/v1/events/flights", json=event)).status_code == 200


async def test_an_end_before_the_first_answer_is_one_all_the_same(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = broker.writer()
    monkeypatch.setattr(writer, "start", asyncio.Event().wait)
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=writer)
    async with client_of(app, is_awaited=False) as client:
        app.state.drain()
        assert (await client.get("/readyz")).text == "draining\n"
    assert app.state.failure is None


async def test_a_bug_that_ends_the_connecting_ends_the_service(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, stopped = broker.writer(), asyncio.Event()

    async def broken() -> None:
        raise RuntimeError("nobody would ever be connected")

    monkeypatch.setattr(writer, "start", broken)
    app = create_app(settings(), streams=STREAMS, verifier=None, writer=writer)
    app.state.stop = stopped.set
    async with client_of(app, is_awaited=False):
        async with asyncio.timeout(5):
            await stopped.wait()
    assert str(app.state.failure) == "nobody would ever be connected"


async def health(client: httpx.AsyncClient) -> list[tuple[int, str]]:
    answers = [await client.get(path) for path in ("/healthz", "/startupz", "/readyz")]
    return [(answer.status_code, answer.text) for answer in answers]
