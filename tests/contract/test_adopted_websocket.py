"""What the adopted write path relies on inside uvicorn and websockets: a release that moves it fails here, loudly."""

import asyncio
import gc
import inspect
import weakref
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import websockets
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import Protocol as FrameProtocol
from websockets.server import ServerProtocol

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.kafka.memory import MemoryBroker
from tidewire_gateway.adopted import AdoptedWebSocket
from tidewire_gateway.app import Clients
from tidewire_gateway.handshake import AdoptableProtocol, PublicHttp

OVERRIDDEN = ((WebSocketsSansIOProtocol, ("run_asgi", "send")),)
CALLED = (
    (
        WebSocketsSansIOProtocol,
        ("handle_connect", "receive", "send_500_response", "start_keepalive"),
    ),
    (HttpToolsProtocol, ("handle_websocket_upgrade",)),
    (ServerProtocol, ("accept", "data_to_send", "events_received", "receive_data")),
    (ServerProtocol, ("send_close", "send_ping", "send_response")),
)
READ = (
    (
        WebSocketsSansIOProtocol,
        (
            "client",
            "close_timer",
            "conn",
            "connections",
            "curr_msg_data_type",
            "default_headers",
            "disconnected",
            "frames",
            "handshake_complete",
            "initial_response",
            "logger",
            "loop",
            "queue",
            "read_paused",
            "response",
            "scheme",
            "scope",
            "server",
            "transport",
        ),
    ),
    (
        HttpToolsProtocol,
        (
            "app_state",
            "client",
            "config",
            "connections",
            "headers",
            "parser",
            "scheme",
            "server",
            "server_state",
            "transport",
            "url",
            "ws_protocol_class",
        ),
    ),
    (FrameProtocol, ("close_rcvd", "close_sent", "debug", "logger", "parser", "parser_exc")),
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


def test_parser_of_frames_is_a_generator_that_waits_for_bytes() -> None:
    assert inspect.isgeneratorfunction(FrameProtocol.parse)


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


async def test_handshake_and_connection_are_freed_without_the_collector(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[Any]] = []
    for kind in (PublicHttp, AdoptableProtocol):
        begin = kind.__init__

        def init(self: Any, *args: Any, begin: Any = begin, **options: Any) -> None:
            seen.append(weakref.ref(self))
            begin(self, *args, **options)

        monkeypatch.setattr(kind, "__init__", init)
    gc.collect()
    gc.disable()
    try:
        async with gateway.connect() as client:
            await client.subscribe("s")
            seen.append(weakref.ref(only_connection(gateway).conn))
            await eventually(lambda: seen[0]() is None and seen[1]() is None)
        await eventually(lambda: seen[2]() is None)
    finally:
        gc.enable()


async def test_short_and_long_way_of_a_request_give_the_same_scope(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes: list[dict[str, Any]] = []
    parsed: list[bytes] = []

    async def run(self: AdoptableProtocol) -> None:
        scopes.append(dict(self.scope))
        await run_asgi(self)

    def parse(self: AdoptableProtocol, data: bytes) -> None:
        parsed.append(data)
        receive(self, data)

    run_asgi, receive = AdoptableProtocol.run_asgi, AdoptableProtocol.data_received
    monkeypatch.setattr(AdoptableProtocol, "run_asgi", run)
    monkeypatch.setattr(AdoptableProtocol, "data_received", parse)
    async with gateway.connect(additional_headers={"Cookie": "short"}):
        assert parsed == []
    async with gateway.connect(additional_headers={"Cookie": LONG_COOKIE}):
        assert len(parsed) == 1
    for scope in scopes:
        own = (b"cookie", b"sec-websocket-key")
        scope["headers"] = [one for one in scope["headers"] if one[0] not in own]
        scope["client"] = scope["extensions"] = None
    assert scopes[0] == scopes[1]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": "x" * 8300}, 431),
        ({"Sec-WebSocket-Version": "12"}, 400),
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


def only_connection(gateway: Gateway) -> AdoptedWebSocket:
    (connection,) = gateway.node.connections
    return connection._protocol
