"""A gateway that speaks TLS itself: what clients have of it, and strangers do not."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from websockets.frames import CloseCode, Frame, Opcode

from harness.authority import Authority, make_authority
from harness.certificate import Certificate
from harness.gateway import FrameClient, Gateway, MemoryTopics
from harness.gateway_process import GatewayProcess, gateway_environment, running_process
from harness.waiting import eventually, wait_until
from integration.gateway.test_handshakes import request_bytes
from tidewire.http import tls_entrance
from tidewire_gateway import server

PATIENCE = 10.0
GREETING = json.dumps({"v": 1, "type": "hello", "id": 1, "payload": {"client": "test/1"}})
HELLO = Frame(Opcode.TEXT, GREETING.encode()).serialize(mask=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def first(authority: Authority) -> Certificate:
    return authority.issue("first")


@pytest.fixture(scope="module")
def second(authority: Authority) -> Certificate:
    return authority.issue("second", days=5)


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.certificate)


@pytest.fixture
async def gateway(make_gateway: Any, first: Certificate) -> AsyncIterator[Gateway]:
    async with make_gateway(certificate=first, drain_delay=0.0, drain_window=0.2) as running:
        yield running


@contextlib.asynccontextmanager
async def stream_to(
    port: int, trust: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def is_dropped(reader: asyncio.StreamReader) -> bool:
    """Wait for the end; what came before it is TLS' own and no answer."""
    async with asyncio.timeout(PATIENCE):
        try:
            return b"HTTP" not in await reader.read()
        except ConnectionResetError:
            return True


def handshakes(gateway: Gateway) -> dict[str, float]:
    """How many ended in which way, without those that none did."""
    text = gateway.app.state.instruments.metrics.render()[0].decode()
    lines = [line for line in text.splitlines() if line.startswith("tidewire_tls_handshakes_total")]
    counted = {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}
    return {outcome: count for outcome, count in counted.items() if count}


def subject(shown: ssl.SSLObject) -> str:
    found: Any = shown.getpeercert()
    return str(dict(pair for (pair,) in found["subject"])["commonName"])


# What clients have


async def test_client_gets_its_snapshot_and_updates(
    gateway: Gateway, topics: MemoryTopics, trust: ssl.SSLContext
) -> None:
    for n in range(40):
        await topics.publish("flights", f"G/{n}", {"fill": "x" * 50_000})
    assert gateway.ws.startswith("wss://")
    async with gateway.connect(ssl=trust, max_size=None) as client:
        answer = await client.subscribe("flights")
        seen = {event["key"] for event in answer.get("events", ())}
        while len(seen) < 40:
            seen |= {event["key"] for event in (await client.receive())["payload"]["events"]}
        await topics.publish("flights", "G/1", {"n": 1})
        update = await client.expect("updates")
        assert update["events"][0]["data"] == {"n": 1}
    assert handshakes(gateway) == {"done": 1}


async def test_http_is_answered_too(gateway: Gateway, trust: ssl.SSLContext) -> None:
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
        for _ in range(2):  # on one connection
            answer = await client.get(f"{gateway.http}/v1/channels/flights")
            assert answer.status_code == 200, answer.text
    assert handshakes(gateway) == {"done": 1}


async def test_frame_that_comes_with_the_request_is_answered_after_it(
    gateway: Gateway, trust: ssl.SSLContext
) -> None:
    async with stream_to(gateway.port, trust) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request_bytes() + HELLO)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert b'"welcome"' in await reader.readuntil(b'"welcome"')


async def test_request_that_comes_with_the_end_of_the_handshake_is_answered(
    gateway: Gateway, trust: ssl.SSLContext
) -> None:
    """As one packet: the client's last words of TLS 1.3 and its first of HTTP."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with stream_to(gateway.port) as (reader, writer), asyncio.timeout(PATIENCE):
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        client.write(request_bytes())
        writer.write(outgoing.read())
        answer = b""
        while b"\r\n\r\n" not in answer:
            incoming.write(await reader.read(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                answer += client.read()
    assert answer.startswith(b"HTTP/1.1 101 ")


async def test_pings_are_answered_and_either_side_closes_in_order(
    gateway: Gateway, trust: ssl.SSLContext
) -> None:
    async with gateway.connect(ssl=trust) as client, asyncio.timeout(PATIENCE):
        await (await client.connection.ping())
        await client.connection.close(CloseCode.GOING_AWAY)
        assert client.connection.close_code == CloseCode.GOING_AWAY
    async with gateway.connect(ssl=trust, hello=False) as client:
        for _ in range(3):
            await client.send_text("no frame of ours")
        assert (await client.closed())[0] == 3501
    await eventually(lambda: not gateway.node.connections)


async def test_client_that_never_pongs_is_closed(
    make_gateway: Any, first: Certificate, trust: ssl.SSLContext
) -> None:
    limits = {"ping_interval": 0.1, "unanswered_pings": 2}
    async with (
        make_gateway(certificate=first, limits=limits) as gateway,
        stream_to(gateway.port, trust) as (reader, writer),
        asyncio.timeout(PATIENCE),
    ):
        writer.write(request_bytes() + HELLO)
        assert (3012).to_bytes(2, "big") in await reader.read()


async def test_node_drains_its_clients(gateway: Gateway, trust: ssl.SSLContext) -> None:
    async with gateway.connect(ssl=trust) as client:
        assert gateway.app.state.drain.begin()
        assert (await client.expect("goaway"))["reason"] == "draining"
        assert (await client.closed())[0] == 3001
    await eventually(gateway.is_stopping)


async def test_connection_that_the_server_and_its_client_end_at_once_is_still_looked_at(
    gateway: Gateway, trust: ssl.SSLContext
) -> None:
    """asyncio's TLS transport that is closed a second time answers no question any more."""
    async with gateway.connect(ssl=trust):
        (connection,) = gateway.app.state.node.connections
        (protocol,) = gateway.protocols
        protocol.shutdown()
        protocol.eof_received()
        assert connection.sweep(asyncio.get_running_loop().time()) >= 0


# Certificates


async def test_new_certificate_is_shown_to_new_connections_and_the_old_ones_go_on(
    make_gateway: Any,
    tmp_path: Path,
    first: Certificate,
    second: Certificate,
    trust: ssl.SSLContext,
) -> None:
    files = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    shutil.copy(first.certificate, files.certificate)
    shutil.copy(first.key, files.key)
    async with (
        make_gateway(certificate=files, tls_reload_interval=0.05) as gateway,
        gateway.connect(ssl=trust) as client,
    ):
        assert shown_to(client) == "first"
        before = expiry(gateway)
        shutil.copy(second.certificate, files.certificate)
        shutil.copy(second.key, files.key)
        await eventually(lambda: expiry(gateway) != before)
        async with gateway.connect(ssl=trust) as other:
            assert shown_to(other) == "second"
        answer = await client.subscribe("flights")
        assert answer["channel"] == "flights"
        assert client.connection.state is websockets.State.OPEN


def shown_to(client: FrameClient) -> str:
    return subject(client.connection.transport.get_extra_info("ssl_object"))


def expiry(gateway: Gateway) -> float:
    text = gateway.app.state.instruments.metrics.render()[0].decode()
    name = "tidewire_tls_certificate_expires_seconds "
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])


# Strangers


async def test_socket_that_says_nothing_is_dropped(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_entrance, "HANDSHAKE_TIMEOUT", 0.2)
    async with stream_to(gateway.port) as (reader, _):
        assert await is_dropped(reader)
    await eventually(lambda: handshakes(gateway) == {"timed_out": 1})


async def test_handshake_byte_by_byte_has_no_more_time(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_entrance, "HANDSHAKE_TIMEOUT", 0.3)
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    async with stream_to(gateway.port) as (reader, writer):
        ending = asyncio.create_task(is_dropped(reader))
        for byte in outgoing.read():
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([ending], timeout=0.02)
            if done:
                break
        assert await ending
    await eventually(lambda: handshakes(gateway) == {"timed_out": 1})


@pytest.mark.parametrize(
    "said", [request_bytes(), b"\x16\x03\x01\x00\x05junk!", b"\0" * 4096, b"\x16"]
)
async def test_what_is_no_tls_is_dropped_and_not_told_of(
    gateway: Gateway, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    async with stream_to(gateway.port) as (reader, writer):
        writer.write(said)
        if said == b"\x16":
            writer.write_eof()
        assert await is_dropped(reader)
    await eventually(lambda: handshakes(gateway) == {"failed": 1})
    assert caplog.records == []
    assert gateway.app.state.node is not None


async def test_client_that_does_not_trust_the_certificate_is_not_told_of(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    with pytest.raises(ssl.SSLCertVerificationError):
        async with gateway.connect(ssl=ssl.create_default_context()):
            raise AssertionError("it must not trust anybody's certificate")
    await eventually(lambda: handshakes(gateway) != {})
    assert caplog.records == []


async def test_silent_sockets_take_no_more_places_than_there_are(
    make_gateway: Any, first: Certificate, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "most_sockets", lambda: 3)
    async with make_gateway(certificate=first) as gateway, contextlib.AsyncExitStack() as held:
        silent = [await held.enter_async_context(stream_to(gateway.port)) for _ in range(3)]
        late, _ = await held.enter_async_context(stream_to(gateway.port))
        assert await is_dropped(late)
        assert handshakes(gateway) == {"crowded_out": 1}
        silent[0][1].transport.abort()
        await eventually(lambda: handshakes(gateway) == {"crowded_out": 1, "failed": 1})
        async with gateway.connect(ssl=trust):
            assert handshakes(gateway)["done"] == 1


async def test_node_that_stops_does_not_wait_for_handshakes(
    make_gateway: Any, first: Certificate, trust: ssl.SSLContext
) -> None:
    async with (
        make_gateway(certificate=first) as gateway,
        stream_to(gateway.port) as (reader, writer),
    ):
        writer.write(b"\x16")
        async with gateway.connect(ssl=trust):
            pass  # the silent one was accepted before
        gateway.stop()
        assert await is_dropped(reader)
        async with asyncio.timeout(PATIENCE):
            await gateway.ended.wait()


# Processes


@contextlib.contextmanager
def process(folder: Path, files: Certificate, *options: str) -> Iterator[GatewayProcess]:
    streams = folder / "streams.yaml"
    streams.write_text("streams: {flights: {topic: flights, public: true}}")
    settings = {
        "TLS__CERTIFICATE_FILE": str(files.certificate),
        "TLS__KEY_FILE": str(files.key),
        "TLS__RELOAD_INTERVAL": "0.05",
        "DRAIN_DELAY": "0",
        "DRAIN_WINDOW": "0.2",
    }
    with running_process(streams, *options, **settings) as running:
        yield running


def name_shown(url: str, trust: ssl.SSLContext) -> str:
    """To a client that is welcomed; one of one thread: over TLS those of `websockets.sync` disturb each other."""

    async def greet() -> str:
        async with (
            asyncio.timeout(PATIENCE),
            websockets.connect(url, ssl=trust, compression=None, proxy=None) as connection,
        ):
            await connection.send(GREETING)
            assert '"welcome"' in str(await connection.recv())
            return subject(connection.transport.get_extra_info("ssl_object"))

    return asyncio.run(greet())


def test_process_says_where_it_is_and_shows_a_new_certificate_without_a_restart(
    tmp_path: Path, first: Certificate, second: Certificate, trust: ssl.SSLContext
) -> None:
    files = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    shutil.copy(first.certificate, files.certificate)
    shutil.copy(first.key, files.key)
    with process(tmp_path, files) as running:
        ready = running.ready
        assert ready["ws"].startswith("wss://")
        assert ready["http"].startswith("https://")
        assert ready["internal"].startswith("http://")
        assert name_shown(ready["ws"], trust) == "first"
        shutil.copy(second.certificate, files.certificate)
        wait_until(lambda: "new certificate cannot be used" in running.said(), what="the warning")
        assert name_shown(ready["ws"], trust) == "first"
        shutil.copy(second.key, files.key)
        wait_until(lambda: name_shown(ready["ws"], trust) == "second", what="the new certificate")
        assert "certificate loaded" in running.said()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0


def test_strangers_fill_no_log(tmp_path: Path, first: Certificate, trust: ssl.SSLContext) -> None:
    with process(tmp_path, first) as running:
        port = urlsplit(running.ready["ws"]).port
        name_shown(running.ready["ws"], trust)
        before = running.said()
        for said in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 100, b"\x16\x03\x01", b""):
            for _ in range(25):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
                    stranger.sendall(said)
        failed = 'tidewire_tls_handshakes_total{outcome="failed"} 100.0'
        wait_until(
            lambda: failed in httpx.get(f"{running.ready['internal']}/metrics").text,
            what="the end of the strangers",
        )
        assert running.said() == before


def test_several_nodes_behind_one_port_speak_tls(
    tmp_path: Path, first: Certificate, trust: ssl.SSLContext
) -> None:
    with process(tmp_path, first, "--processes", "2") as running:
        assert {node["ws"] for node in running.nodes} == {running.nodes[0]["ws"]}
        assert name_shown(running.nodes[0]["ws"], trust) == "first"


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TRUST_PROXY_TLS": "false"}, "TIDEWIRE_GATEWAY__TLS__CERTIFICATE_FILE: is not set, and"),
        ({"TLS__CERTIFICATE_FILE": "tls.crt"}, "TIDEWIRE_GATEWAY__TLS__KEY_FILE: is not set"),
        (
            {"TLS__CERTIFICATE_FILE": "no.crt", "TLS__KEY_FILE": "no.key"},
            "no.crt: cannot be read: No such file or directory; name the file in TIDEWIRE_GATEWAY__TLS",
        ),
    ],
)
def test_node_without_usable_tls_does_not_start_and_says_why(
    tmp_path: Path, options: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams: {flights: {topic: flights, public: true}}")
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_gateway", *options],
        env=gateway_environment(streams, **variables),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert said in line
