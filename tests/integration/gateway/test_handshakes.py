"""What a gateway answers to upgrades, byte by byte, ordinary and odd; and what endpoints may do with them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
import websockets
from websockets.frames import Frame, Opcode

from harness.gateway import Gateway
from harness.waiting import eventually
from tidewire_gateway.adoptable import EXTENSION, AdoptableProtocol
from tidewire_gateway.adopted import AdoptedWebSocket
from tidewire_gateway.handshake import PublicHttp
from tidewire_gateway.server import Server

PATIENCE = 10.0
SOON = 0.05
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 (1.3)."""
USUAL = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request_bytes(
    *lines: str, start: str = "GET /v1/ws HTTP/1.1", without: str = "", **headers: str
) -> bytes:
    named = USUAL | {name.replace("_", "-"): value for name, value in headers.items()}
    usual = [f"{name}: {value}" for name, value in named.items() if name != without]
    return "\r\n".join([start, *usual, *lines, "", ""]).encode("latin-1")


async def answer_to(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, and what follows them until the server closes; of 101 nothing."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            start, *lines = head.decode().rstrip("\r\n").split("\r\n")
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
            assert len(headers) == len(lines)
            status = int(start.split(" ")[1])
            return status, headers, b"" if status == 101 else await reader.read()
        finally:
            writer.close()


async def test_upgrade_is_answered_as_the_standard_has_it(gateway: Gateway) -> None:
    offer = "tidewire.bearer.x, tidewire.v1.json"
    request = request_bytes(f"Sec-WebSocket-Protocol: {offer}")
    status, headers, _ = await answer_to(gateway.port, request)
    assert status == 101
    assert headers.pop("date").endswith(" GMT")
    assert headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": ACCEPT,
        "sec-websocket-protocol": "tidewire.v1.json",
    }


@pytest.mark.parametrize(
    "request_",
    [
        request_bytes(Connection="keep-alive, x-y, Upgrade"),
        request_bytes("X: a", "X: b"),
        request_bytes("Cookie: \xe9"),
        request_bytes("Cookie: x  \t"),
        request_bytes(start="GET /v1/w%73 HTTP/1.1"),
        request_bytes("Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: tidewire.v1.json"),
    ],
)
async def test_odd_but_correct_upgrade_is_accepted(gateway: Gateway, request_: bytes) -> None:
    status, headers, _ = await answer_to(gateway.port, request_)
    assert (status, headers["sec-websocket-accept"]) == (101, ACCEPT)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (request_bytes(start="POST /v1/ws HTTP/1.1"), 405),
        (request_bytes(start="GET /v1/ws HTTP/1.0"), 505),
        (request_bytes(without="Sec-WebSocket-Key"), 400),
        (request_bytes(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (request_bytes(f"Sec-WebSocket-Key: {KEY}"), 400),
        (request_bytes(without="Sec-WebSocket-Version"), 400),
        (request_bytes("Sec-WebSocket-Version: 13"), 400),
        (request_bytes("Sec-WebSocket-Protocol: ,"), 400),
        (request_bytes(start="GET /elsewhere HTTP/1.1"), 403),
        (request_bytes(start="GET /v1/ws\x01 HTTP/1.1"), 400),
    ],
)
async def test_upgrade_that_breaks_the_standard_is_refused(
    gateway: Gateway, request_: bytes, expected: int
) -> None:
    status, _, _ = await answer_to(gateway.port, request_)
    assert status == expected


@pytest.mark.parametrize("version", ["8", "14", "13, 8"])
async def test_upgrade_to_another_version_is_told_which_there_is(
    gateway: Gateway, version: str
) -> None:
    request = request_bytes(Sec_WebSocket_Version=version)
    status, headers, body = await answer_to(gateway.port, request)
    assert status == 426
    assert headers["sec-websocket-version"] == "13"
    assert headers["upgrade"] == "websocket"
    assert int(headers["content-length"]) == len(body)


async def test_upgrade_to_another_protocol_is_answered_as_plain_http(gateway: Gateway) -> None:
    lines = ["GET /openapi.json HTTP/1.1", "Host: x", "Upgrade: h2c", "Connection: Upgrade, close"]
    status, _, body = await answer_to(gateway.port, "\r\n".join([*lines, "", ""]).encode())
    assert status == 200
    assert json.loads(body)["paths"]


async def test_what_is_no_http_is_a_bad_request(gateway: Gateway) -> None:
    status, _, _ = await answer_to(gateway.port, b"NONSENSE\r\n\r\n")
    assert status == 400


@pytest.mark.parametrize("cut", [1, 40, 100])
async def test_request_may_come_in_pieces(gateway: Gateway, cut: int) -> None:
    request = request_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request[:cut])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(request[cut:])
    async with asyncio.timeout(PATIENCE):
        assert ACCEPT.encode() in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_frame_that_comes_with_the_request_is_answered_after_it(gateway: Gateway) -> None:
    hello = b'{"v":1,"type":"hello","id":1,"payload":{"client":"x/1"}}'
    frame = Frame(Opcode.TEXT, hello).serialize(mask=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request_bytes() + frame[:7])
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame[7:])
        assert b'"welcome"' in await reader.readuntil(b"}")
    writer.close()


async def test_refused_upgrade_says_why_and_leaves_nothing(gateway: Gateway) -> None:
    request = request_bytes(start="GET /v1/ws?token=x HTTP/1.1")
    status, headers, body = await answer_to(gateway.port, request)
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body)
    assert "URL" in json.loads(body)["detail"]
    await eventually(lambda: not gateway._server.server_state.connections)


async def test_endpoint_that_breaks_is_a_server_error(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.node, "overload", lambda: 1 / 0)
    for line in ("X: ordinary", "X: odd\t"):
        assert (await answer_to(gateway.port, request_bytes(line)))[0] == 500
    await eventually(lambda: not gateway._server.server_state.connections)


# Endpoints that are not the gateway's


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[tuple[int, Server]]:
    config = uvicorn.Config(
        app,
        http=PublicHttp,
        ws=AdoptableProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    started = asyncio.Event()
    server = Server(config, started.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(PATIENCE):
            await started.wait()
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


ACCEPTED = {"type": "websocket.accept", "subprotocol": None, "headers": ()}
LINES = pytest.mark.parametrize("line", ["X: ordinary", "X: odd\t"])
"""The second goes through uvicorn's WebSocket side."""


@LINES
async def test_headers_of_the_endpoint_are_sent(line: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "websocket.connect"}
        await send(ACCEPTED | {"headers": [(b"x-mine", b"1")], "subprotocol": "b"})

    async with serving(app) as (port, _):
        request = request_bytes(line, "Sec-WebSocket-Protocol: a, b")
        status, headers, _ = await answer_to(port, request)
    assert status == 101
    assert (headers["x-mine"], headers["sec-websocket-protocol"]) == ("1", "b")


@pytest.mark.parametrize("headers", [[(b"a", b"b\r\nc: d")], [(b"a\nb", b"")]])
async def test_line_break_in_a_header_of_the_endpoint_is_not_sent(headers: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPTED | {"headers": headers})

    async with serving(app) as (port, _):
        assert (await answer_to(port, request_bytes()))[0] == 500


@LINES
async def test_endpoint_that_neither_accepts_nor_refuses_is_a_server_error(line: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    async with serving(app) as (port, _):
        assert (await answer_to(port, request_bytes(line)))[0] == 500


@LINES
async def test_endpoint_that_closes_instead_forbids(line: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000})

    async with serving(app) as (port, _):
        assert (await answer_to(port, request_bytes(line)))[0] == 403


@pytest.mark.parametrize("is_broken", [True, False])
async def test_connection_that_was_accepted_and_not_adopted_is_ended(is_broken: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPTED)
        assert not is_broken

    async with serving(app) as (port, server):
        with pytest.raises(websockets.ConnectionClosedError):
            async with (
                asyncio.timeout(PATIENCE),
                websockets.connect(f"ws://127.0.0.1:{port}/v1/ws") as client,
            ):
                await client.recv()
        await eventually(lambda: not server.server_state.connections)


async def test_ordinary_messages_are_for_whoever_adopts() -> None:
    faults: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for use in (receive(), send({"type": "websocket.send", "text": "x"})):
            try:
                await use
            except RuntimeError as fault:
                faults.append(str(fault))
            await send(ACCEPTED) if len(faults) == 1 else None

    async with serving(app) as (port, _):
        assert (await answer_to(port, request_bytes()))[0] == 101
        await eventually(lambda: len(faults) == 2)
    assert all("adopt" in fault for fault in faults)


class Told:
    """An adopter that only remembers what it is told."""

    def __init__(self, adopted: AdoptedWebSocket) -> None:
        self.told: list[Any] = []
        self.text = b""

    def on_text(self, data: bytes) -> None:
        self.text += data

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.told.append(name)


@pytest.mark.parametrize("cookie", ["short", "x" * 8100])
async def test_connection_that_breaks_after_its_adoption_closes_1011(cookie: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPTED)
        scope["extensions"][EXTENSION].adopt(Told)
        raise RuntimeError

    async with serving(app) as (port, _), asyncio.timeout(PATIENCE):
        url = f"ws://127.0.0.1:{port}/v1/ws"
        async with websockets.connect(url, additional_headers={"Cookie": cookie}) as client:
            await client.wait_closed()
        assert client.close_code == 1011


class Hesitating:
    """An endpoint that does what it is for when it is told to."""

    def __init__(self, *, accepts_first: bool = False) -> None:
        self.asked = asyncio.Event()
        self.decided = asyncio.Event()
        self.ended = asyncio.Event()
        self.adopters: list[Told] = []
        self._accepts_first = accepts_first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._accepts_first:
            await send(ACCEPTED)
        self.asked.set()
        try:
            await self.decided.wait()
            if not self._accepts_first:
                await send(ACCEPTED)
            scope["extensions"][EXTENSION].adopt(self._adopt)
        finally:
            self.ended.set()

    def _adopt(self, adopted: AdoptedWebSocket) -> Told:
        self.adopters.append(Told(adopted))
        return self.adopters[-1]


@LINES
async def test_nothing_is_lost_that_comes_while_the_endpoint_decides(line: str) -> None:
    app = Hesitating()
    frames = [Frame(Opcode.TEXT, b"%d," % n).serialize(mask=True) for n in range(1000)]
    async with serving(app) as (port, _), asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes(line))
        await app.asked.wait()
        for frame in frames:
            writer.write(frame)
            await asyncio.sleep(0)
        app.decided.set()
        await reader.readuntil(b"\r\n\r\n")
        everything = b"".join(b"%d," % n for n in range(1000))
        await eventually(lambda: app.adopters[0].text == everything)
        writer.close()


async def test_who_leaves_while_the_endpoint_decides_is_not_adopted() -> None:
    app = Hesitating()
    async with serving(app) as (port, server), asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes())
        await app.asked.wait()
        writer.close()
        await eventually(lambda: not server.server_state.connections)
        app.decided.set()
        await app.ended.wait()
        assert not server.server_state.connections
    assert app.adopters == []


@LINES
async def test_who_leaves_between_acceptance_and_adoption_is_lost_to_the_adopter(line: str) -> None:
    app = Hesitating(accepts_first=True)
    async with serving(app) as (port, server), asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes(line))
        await app.asked.wait()
        writer.close()
        await eventually(lambda: not server.server_state.connections)
        app.decided.set()
        await app.ended.wait()
    assert app.adopters[0].told == ["on_lost"]


@pytest.mark.parametrize("accepts_first", [False, True])
async def test_server_that_stops_while_the_endpoint_decides_does_not_wait_for_it(
    accepts_first: bool,
) -> None:
    app = Hesitating(accepts_first=accepts_first)
    async with serving(app) as (port, server), asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes())
        await app.asked.wait()
        server.should_exit = True
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 101 " if accepts_first else b"HTTP/1.1 500 ")
        app.decided.set()
        await app.ended.wait()
        writer.close()


# Upgrades behind a request that is not answered yet


class Answering:
    """Answers HTTP slowly, in two pieces, and accepts whatever upgrade it is asked for."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.released = asyncio.Event()
        self.upgrades = 0
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.upgrades += 1
            await send(ACCEPTED)
            scope["extensions"][EXTENSION].adopt(Told)
            return
        self.paths.append(scope["path"])
        headers = [(b"content-length", b"8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        self.begun.set()
        await self.released.wait()
        await send({"type": "http.response.body", "body": b"half"})


GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = pytest.mark.parametrize(
    "upgrade",
    [
        request_bytes("X: ordinary"),
        request_bytes("X: odd\t"),
        request_bytes(Sec_WebSocket_Version="8"),
        request_bytes(start="GET /v1/ws HTTP/1.0"),
    ],
    ids=["ordinary", "odd", "of another version", "over HTTP/1.0"],
)


@UPGRADES
@pytest.mark.parametrize("before", [1, 3])
async def test_upgrade_behind_requests_without_an_answer_ends_the_connection_after_theirs(
    upgrade: bytes, before: int
) -> None:
    app = Answering()
    async with serving(app) as (port, server), asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        gets = b"".join(GET % b"%d" % n for n in range(before))
        writer.write(gets + upgrade + b"frames that nobody reads")
        await app.begun.wait()
        writer.write(b"and more of them")
        await asyncio.sleep(SOON)
        app.released.set()
        everything = await reader.read()
        writer.close()
        await eventually(lambda: not server.server_state.connections)
    answers = everything.split(b"HTTP/1.1 ")[1:]
    assert [answer.split(b"\r\n\r\n")[1] for answer in answers] == [b"halfhalf"] * before
    assert all(answer.startswith(b"200 ") for answer in answers)
    assert app.paths == [f"/{n}" for n in range(before)]
    assert app.upgrades == 0


@UPGRADES
async def test_answer_that_has_not_begun_says_that_the_connection_ends(
    gateway: Gateway, upgrade: bytes
) -> None:
    status, headers, body = await answer_to(gateway.port, GET % b"openapi.json" + upgrade)
    assert (status, headers["connection"]) == (200, "close")
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body)["paths"]


async def test_upgrade_after_an_answer_is_accepted_on_its_connection(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    async with asyncio.timeout(PATIENCE):
        writer.write(GET % b"nowhere")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 404 ")
        writer.write(request_bytes())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.close()
