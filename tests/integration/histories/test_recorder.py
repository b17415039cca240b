"""A recording client against a real socket: what it writes down, and how it comes back."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from histories.entries import Asked, Closed, Got, Opened, Position, Refused, Stopped
from histories.reading import read_client
from histories.recorder import ClientOptions, RecordingClient, Wanted
from histories.writing import Recording
from tidewire.kafka.memory import MemoryBroker
from tidewire_client.backoff import BackoffLimits
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "flights": {
        "topic": "flights",
        "partitions": 2,
        "group": "key-prefix",
        "table": True,
        "modes": ["latest", "every"],
        "public": True,
    }
}
QUICK = BackoffLimits(first=0.01, most=0.05)


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
async def gateway(topics: MemoryTopics, tmp_path: Path) -> AsyncIterator[Gateway]:
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    async with running_gateway(write_streams(tmp_path, STREAMS), clients) as running:
        yield running


@contextlib.asynccontextmanager
async def running(client: RecordingClient) -> AsyncIterator[RecordingClient]:
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        client.stop()
        await task


def stands_at(client: RecordingClient, partition: int, offset: int) -> bool:
    position = client.positions[0]
    return position is not None and position.offsets.get(partition, 0) >= offset


async def test_client_resumes_where_it_stood_and_writes_everything_down(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    recording = Recording(tmp_path / "part")
    client = RecordingClient(
        "one",
        lambda: gateway.ws,
        [Wanted("flights"), Wanted("flights", mode="every")],
        recording=recording,
        options=ClientOptions(backoff=QUICK),
    )
    async with running(client):
        await eventually(lambda: client.is_ready)
        await topics.publish("flights", "A/1", {"n": 1})
        await eventually(lambda: stands_at(client, 0, 1))
        client.drop()
        await eventually(lambda: client.connections == 2 and client.is_ready)
        await topics.publish("flights", "A/1", {"n": 2})
        await eventually(lambda: stands_at(client, 0, 2))
    recording.close()

    history = read_client(tmp_path / "part" / "one.jsonl")
    entries = list(history)
    asked = [entry for entry in entries if isinstance(entry, Asked)]
    assert [(a.connection, a.subscription, a.since is None) for a in asked] == [
        (1, 0, True),
        (1, 1, True),
        (2, 0, False),
        (2, 1, False),
    ]
    assert asked[2].since is not None
    assert asked[2].since.offsets[0] == 1
    closed = [entry for entry in entries if isinstance(entry, Closed)]
    assert [(c.connection, c.code, c.is_own) for c in closed] == [(1, 1006, True), (2, 1000, True)]
    assert sum(isinstance(entry, Opened) for entry in entries) == 2
    assert sum(isinstance(entry, Got) for entry in entries) >= 8
    assert isinstance(entries[-2], Stopped)


async def test_equal_frames_are_stored_once(gateway: Gateway, tmp_path: Path) -> None:
    recording = Recording(tmp_path / "part")
    clients = [
        RecordingClient(f"c{n}", lambda: gateway.ws, [Wanted("flights")], recording=recording)
        for n in range(20)
    ]
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(running(client))
        await eventually(lambda: all(client.is_ready for client in clients))
    recording.close()
    frames = (tmp_path / "part" / "frames").read_bytes()
    assert frames.count(b'"snapshot"') == 1


@pytest.mark.parametrize("obeys", [True, False])
async def test_goaway_is_followed_make_before_break_or_ignored(
    topics: MemoryTopics, tmp_path: Path, obeys: bool
) -> None:
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    path = write_streams(tmp_path, STREAMS)
    recording = Recording(tmp_path / "part")
    limits = {"connection_age": 0.5, "goaway_window": 0.1}
    async with (
        running_gateway(path, clients, limits=limits) as old,
        running_gateway(path, clients) as new,
    ):
        urls = iter([old.ws])
        client = RecordingClient(
            "one",
            lambda: next(urls, new.ws),
            [Wanted("flights")],
            recording=recording,
            options=ClientOptions(backoff=QUICK, obeys_goaway=obeys),
        )
        async with running(client):
            await eventually(lambda: client.connections == 2 and client.is_ready)
    recording.close()
    entries = read_client(tmp_path / "part" / "one.jsonl")
    turns = [(type(e).__name__, e.connection) for e in entries if isinstance(e, Opened | Closed)]
    first, second = ("Opened", 2), ("Closed", 1)
    middle = [first, second] if obeys else [second, first]
    assert turns == [("Opened", 1), *middle, ("Closed", 2)]


async def test_slow_reader_takes_bytes_at_its_rate(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    recording = Recording(tmp_path / "part")
    client = RecordingClient(
        "slow",
        lambda: gateway.ws,
        [Wanted("flights", mode="every")],
        recording=recording,
        options=ClientOptions(read_rate=4_000, receive_buffer=4096),
    )
    async with running(client):
        await eventually(lambda: client.is_ready)
        for n in range(4):
            await topics.publish("flights", "A/1", {"n": n, "fill": "x" * 1000})
        await eventually(lambda: stands_at(client, 0, 4))
    recording.close()
    got = [e for e in read_client(tmp_path / "part" / "slow.jsonl") if isinstance(e, Got)]
    taken = sum(e.length for e in got)
    assert taken / (got[-1].at - got[0].at) < 3 * 4_000


async def test_attempts_that_fail_are_written_down(gateway: Gateway, tmp_path: Path) -> None:
    """Nobody listens, then the handshake is refused for good."""
    nobody = socket.create_server(("127.0.0.1", 0))
    closed = f"ws://127.0.0.1:{nobody.getsockname()[1]}/v1/ws"
    nobody.close()
    urls = iter([closed, gateway.ws.replace("/v1/ws", "/nothing")])
    recording = Recording(tmp_path / "part")
    client = RecordingClient(
        "one",
        lambda: next(urls, gateway.ws),
        [Wanted("flights")],
        recording=recording,
        options=ClientOptions(backoff=QUICK),
    )
    async with running(client):
        await eventually(lambda: client.failure is not None or client.is_ready)
    recording.close()
    refused = [e for e in read_client(tmp_path / "part" / "one.jsonl") if isinstance(e, Refused)]
    assert [r.status for r in refused] == [None, 403]
    assert client.failure == "HTTP 403"


async def test_client_ends_when_the_server_refuses_for_good(
    gateway: Gateway, tmp_path: Path
) -> None:
    recording = Recording(tmp_path / "part")
    client = RecordingClient(
        "one",
        lambda: gateway.ws,
        [Wanted("flights")],
        recording=recording,
        options=ClientOptions(backoff=QUICK, token="nonsense"),
    )
    async with asyncio.timeout(10):
        await client.run()
    recording.close()
    entries = list(read_client(tmp_path / "part" / "one.jsonl"))
    assert [e.code for e in entries if isinstance(e, Closed)] == [3500]
    assert client.failure is not None


async def test_client_that_reads_nothing_gets_everything_once_it_reads_again(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    recording = Recording(tmp_path / "part")
    deaf, witness = (
        RecordingClient(
            name, lambda: gateway.ws, [Wanted("flights", mode="every")], recording=recording
        )
        for name in ("deaf", "witness")
    )
    async with running(deaf), running(witness):
        await eventually(lambda: deaf.is_ready and witness.is_ready)
        deaf.pause_reading()
        await topics.publish("flights", "A/1", {"n": 1})
        await eventually(lambda: stands_at(witness, 0, 1))
        assert not stands_at(deaf, 0, 1)
        deaf.resume_reading()
        await eventually(lambda: stands_at(deaf, 0, 1))
    recording.close()


async def test_client_resumes_where_its_options_say(
    gateway: Gateway, topics: MemoryTopics, tmp_path: Path
) -> None:
    """As a drill does that wants to be found out."""
    recording = Recording(tmp_path / "part")
    client = RecordingClient(
        "one",
        lambda: gateway.ws,
        [Wanted("flights", mode="every")],
        recording=recording,
        options=ClientOptions(
            backoff=QUICK, resume_at=lambda p: Position(p.epoch, dict.fromkeys(p.offsets, 0))
        ),
    )
    async with running(client):
        await eventually(lambda: client.is_ready)
        await topics.publish("flights", "A/1", {"n": 1})
        await eventually(lambda: stands_at(client, 0, 1))
        client.drop()
        await eventually(lambda: client.connections == 2 and client.is_ready)
    recording.close()
    asked = [e for e in read_client(tmp_path / "part" / "one.jsonl") if isinstance(e, Asked)]
    assert asked[-1].since is not None
    assert set(asked[-1].since.offsets.values()) == {0}
