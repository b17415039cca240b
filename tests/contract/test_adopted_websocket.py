"""What the adopted write path relies on inside uvicorn and websockets: a release that moves it fails here, loudly."""

import asyncio
import gc
import inspect
import weakref
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
import websockets
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import Protocol as FrameProtocol
from websockets.protocol import Side, State

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire_gateway.adopted import AdoptedWebSocket
from tidewire_gateway.app import Clients
from tidewire_gateway.handshake import AdoptableProtocol, PublicHttp
from tidewire_gateway.plain_upgrade import PlainUpgrade

OVERRIDDEN = (
    (WebSocketsSansIOProtocol, ("data_received", "run_asgi")),
    (HttpToolsProtocol, ("data_received",)),
)
CALLED = (
    (WebSocketsSansIOProtocol, ("receive", "send", "send_500_response")),
    (
        HttpToolsProtocol,
        (
            "_should_upgrade",
            "_unset_keepalive_if_required",
            "_unsupported_upgrade_warning",
            "handle_websocket_upgrade",
            "send_400_response",
        ),
    ),
    (FrameProtocol, ("data_to_send", "events_received", "receive_data")),
    (FrameProtocol, ("send_close", "send_ping")),
)
READ = (
    (
        WebSocketsSansIOProtocol,
        (
            "app",
            "close_timer",
            "conn",
            "connections",
            "curr_msg_data_type",
            "disconnected",
            "frames",
            "handshake_complete",
            "handshake_initiated",
            "initial_response",
            "logger",
            "loop",
            "queue",
            "read_paused",
            "scope",
            "transport",
        ),
    ),
    (
        HttpToolsProtocol,
        (
            "app",
            "app_state",
            "asgi_version",
            "client",
            "config",
            "connections",
            "cycle",
            "headers",
            "logger",
            "loop",
            "parser",
            "root_path",
            "scheme",
            "scope",
            "server",
            "server_state",
            "tasks",
            "transport",
            "url",
        ),
    ),
    (RequestResponseCycle, ("keep_alive", "response_complete")),
    (FrameProtocol, ("close_rcvd", "close_sent", "debug", "handshake_exc", "logger", "parser")),
    (FrameProtocol, ("parser_exc",)),
)
LONG_COOKIE = "x" * 8100
"""With it a request goes the long way, and is within what `websockets` allows a line to have."""


def test_uvicorn_is_of_the_range_this_was_tried_on() -> None:
    assert uvicorn.__version__.startswith("0.54.")


@pytest.mark.parametrize(("owner", "names"), [*OVERRIDDEN, *CALLED])
def test_methods_that_are_overridden_or_called_exist(owner: type, names: tuple[str, ...]) -> None:
    assert [name for name in names if not callable(getattr(owner, name, None))] == []


@pytest.mark.parametrize(("owner", "names"), READ)
def test_state_that_is_read_exists(owner: type, names: tuple[str, ...]) -> None:
    source = inspect.getsource(owner)
    assert [name for name in names if f"self.{name}" not in source] == []


def test_parser_of_frames_is_open_from_the_start_and_a_generator_that_can_be_closed() -> None:
    conn = FrameProtocol(Side.SERVER)
    assert conn.state is State.OPEN
    assert inspect.isgenerator(conn.parser)


def test_request_parser_tells_where_an_upgrade_ends() -> None:
    request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    parser = httptools.HttpRequestParser(object())
    parser.feed_data(request[:20])
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        parser.feed_data(request[20:] + b"frame")
    assert upgrade.value.args == (len(request) - 20,)


@pytest.fixture
async def gateway(tmp_path: Path) -> Any:
    streams = {"s": {"topic": "t", "public": True}}
    topics = MemoryTopics(MemoryBroker(), streams)
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    async with running_gateway(write_streams(tmp_path, streams), clients) as running:
        yield running


async def test_adopted_connection_has_no_task_and_nothing_of_the_handshake(
    gateway: Gateway,
) -> None:
    async with gateway.connect() as client:
        await client.subscribe("s")
        state = gateway._server.server_state
        assert {id(one) for one in state.connections} == {id(only_connection(gateway))}
        assert not state.tasks


@pytest.mark.parametrize("cookie", ["short", LONG_COOKIE])
async def test_handshake_and_connection_are_freed_without_the_collector(
    gateway: Gateway, cookie: str
) -> None:
    gc.collect()
    gc.disable()
    try:
        async with gateway.connect(additional_headers={"Cookie": cookie}) as client:
            await client.subscribe("s")
            conn = weakref.ref(only_connection(gateway).conn)
            await eventually(lambda: not alive(PublicHttp, PlainUpgrade, AdoptableProtocol))
            assert conn() is not None
        await eventually(lambda: conn() is None)
    finally:
        gc.enable()


async def test_ordinary_request_is_answered_without_the_library(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AdoptableProtocol, "__init__", None)
    async with gateway.connect() as client:
        await client.subscribe("s")


async def test_short_and_long_way_of_a_request_give_the_same_scope(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes: list[dict[str, Any]] = []
    parsed: list[bytes] = []
    app, receive = gateway.app.router.app, AdoptableProtocol.data_received

    async def look(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(dict(scope))
        await app(scope, receive, send)

    def parse(self: AdoptableProtocol, data: bytes) -> None:
        parsed.append(data)
        receive(self, data)

    monkeypatch.setattr(gateway.app.router, "middleware_stack", look)
    monkeypatch.setattr(AdoptableProtocol, "data_received", parse)
    async with gateway.connect(additional_headers={"Cookie": "short"}):
        assert parsed == []
    async with gateway.connect(additional_headers={"Cookie": LONG_COOKIE}):
        assert len(parsed) == 1
    for scope in scopes:
        own = (b"cookie", b"sec-websocket-key")
        scope["headers"] = [one for one in scope["headers"] if one[0] not in own]
        scope["client"] = scope["extensions"] = None
        for name in [name for name in scope if name.startswith(("fastapi", "starlette"))]:
            del scope[name]
    assert len(scopes) == 2
    assert scopes[0] == scopes[1]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": "x" * 8300}, 431),
        ({"Sec-WebSocket-Protocol": "a b"}, 400),
        ({f"X-{n}": "" for n in range(130)}, 431),
    ],
)
async def test_request_that_the_library_refuses_is_refused(
    gateway: Gateway, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with gateway.connect(additional_headers=headers):
            pass
    assert refused.value.response.status_code == status


@pytest.mark.parametrize("header", ["Content-Length: 3", "Transfer-Encoding: chunked"])
async def test_upgrade_with_a_body_is_refused(gateway: Gateway, header: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        + header.encode()
        + b"\r\n\r\n"
    )
    async with asyncio.timeout(10):
        assert b"101" not in await reader.read()
    writer.close()


async def test_header_that_is_not_ascii_is_let_through(gateway: Gateway) -> None:
    async with gateway.connect(additional_headers={"Cookie": "\xe9"}) as client:
        await client.subscribe("s")


def alive(*kinds: type) -> list[Any]:
    return [one for one in gc.get_objects() if type(one) in kinds]


def only_connection(gateway: Gateway) -> AdoptedWebSocket:
    (connection,) = gateway.node.connections
    return connection._protocol
