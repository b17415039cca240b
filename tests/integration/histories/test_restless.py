"""A recording client that is moved by hand, against a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from histories.entries import Asked, Closed, Got, Opened
from histories.reading import read_client
from histories.recorder import ClientOptions, Wanted
from histories.restless import RestlessClient
from histories.wire import Message, messages
from histories.writing import Recording
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.kafka.memory import MemoryBroker
from tidewire_client.backoff import BackoffLimits
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {"s": {"topic": "t", "table": True, "public": True}}
OTHER_MS = 100


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
async def gateway(topics: MemoryTopics, tmp_path: Path) -> AsyncIterator[Gateway]:
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    key_file = tmp_path / "token.key"
    ensure_key(key_file)
    streams = write_streams(tmp_path, STREAMS)
    async with running_gateway(streams, clients, token_key_file=key_file) as running:
        yield running


@contextlib.asynccontextmanager
async def standing(gateway: Gateway, folder: Path) -> AsyncIterator[RestlessClient]:
    """A client that has the snapshot; when the block is left everything is written down."""
    recording = Recording(folder / "part")
    options = ClientOptions(user="ann", token=token(folder), backoff=BackoffLimits(0.01, 0.05))
    client = RestlessClient(
        "ann", lambda: gateway.ws, [Wanted("s")], recording=recording, options=options
    )
    task = asyncio.create_task(client.run())
    try:
        await eventually(lambda: client.is_ready)
        yield client
    finally:
        client.stop()
        await task
        recording.close()


def token(folder: Path) -> str:
    return issue_token(ensure_key(folder / "token.key"), "ann", {}, ttl=60.0)


def stands_at(client: RestlessClient, offset: int) -> bool:
    (position,) = client.positions
    return position is not None and position.offsets.get(0, 0) >= offset


def received(folder: Path) -> Iterator[Message]:
    frames = (folder / "part" / "frames").read_bytes()
    for entry in read_client(folder / "part" / "ann.jsonl"):
        if isinstance(entry, Got):
            yield from messages(frames[entry.start : entry.start + entry.length])


async def test_client_that_leaves_says_goodbye_and_resumes(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    async with standing(gateway, tmp_path) as client:
        client.leave()
        await topics.publish("t", "k", 1)
        await eventually(lambda: client.is_ready and stands_at(client, 1))
        assert gateway.node.closes == {1000: 1}
    entries = list(read_client(tmp_path / "part" / "ann.jsonl"))
    assert [entry.connection for entry in entries if isinstance(entry, Opened)] == [1, 2]
    left = next(entry for entry in entries if isinstance(entry, Closed))
    assert (left.connection, left.code, left.is_own) == (1, 1000, True)

    resumed = [message for message in received(tmp_path) if message.type == "subscribed"][-1]
    assert resumed.payload.recovered == "changes"


async def test_rate_changes_on_the_connection_that_stands_and_nothing_is_missed(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    async with standing(gateway, tmp_path) as client:
        await topics.publish("t", "k", 1)
        client.change_rate(0, OTHER_MS)
        await topics.publish("t", "k", 2)
        await eventually(lambda: stands_at(client, 2))
    asked = [e for e in read_client(tmp_path / "part" / "ann.jsonl") if isinstance(e, Asked)]
    assert [(entry.connection, entry.interval_ms) for entry in asked] == [(1, None), (1, OTHER_MS)]
    granted = [m.payload.interval_ms for m in received(tmp_path) if m.type == "subscribed"]
    assert granted[-1] == OTHER_MS


async def test_later_token_is_taken_on_the_connection_that_stands(
    gateway: Gateway, tmp_path: Path
) -> None:
    async with standing(gateway, tmp_path) as client:
        client.refresh(token(tmp_path))
        await eventually(lambda: is_refreshed(client, tmp_path))
        assert client.connections == 1


def is_refreshed(client: RestlessClient, folder: Path) -> bool:
    client._recording.flush()
    return any(message.type == "refreshed" for message in received(folder))
