"""Handshake, hello, faults, heartbeat and age of a connection, over real sockets."""

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from harness.gateway import Gateway, MemoryTopics
from harness.waiting import eventually
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action
from tidewire_gateway.connection import Connection
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.pressure import PressureGauge


async def test_hello_is_answered_with_what_the_client_must_know(gateway: Gateway) -> None:
    async with gateway.connect(hello=False) as client:
        welcome = await client.hello()
        assert client.connection.subprotocol == "tidewire.v1.json"
    assert welcome["node"] == "node-1"
    assert welcome["ping_interval_ms"] == 25_000
    assert welcome["limits"]["subscriptions"] == 512
    assert "expires_in_ms" not in welcome


async def test_silent_client_is_closed(make_gateway: Any) -> None:
    async with (
        make_gateway(limits={"hello_timeout": 0.1}) as gateway,
        gateway.connect(hello=False) as client,
    ):
        code, reason = await client.closed()
    assert code == 3501
    assert reason == "no hello came in time"


async def test_client_is_not_refused_because_the_node_looked_late(
    make_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that wakes up sees that time is over before it sees the hello that came in time."""
    monkeypatch.setattr("tidewire_gateway.connection._STANDSTILL", 0.0)
    async with (
        make_gateway(limits={"hello_timeout": 0.1}) as gateway,
        gateway.connect(hello=False) as client,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.closed()
        assert (await client.hello())["node"] == "node-1"


@pytest.mark.parametrize(
    "text",
    [
        '{"v":1,"type":"subscribe","id":1,"payload":{"channel":"flights"}}',
        "not json",
        '{"v":1,"type":"nonsense"}',
        "[]",
    ],
)
async def test_anything_before_hello_closes(gateway: Gateway, text: str) -> None:
    async with gateway.connect(hello=False) as client:
        await client.send_text(text)
        assert (await client.closed())[0] == 3501
    assert counted(gateway, 'tidewire_handshakes_total{outcome="bad_request"}') == 1


async def test_other_version_is_told_and_closed(gateway: Gateway) -> None:
    async with gateway.connect(hello=False) as client:
        await client.send_text('{"v":2,"type":"hello","id":1,"payload":{"client":"x/1"}}')
        assert (await client.expect("error"))["code"] == "unsupported_version"
        assert (await client.closed())[0] == 3502


async def test_hello_and_subscriptions_may_share_a_frame(gateway: Gateway) -> None:
    messages = [
        {"v": 1, "type": "hello", "id": 1, "payload": {"client": "x/1"}},
        {"v": 1, "type": "subscribe", "id": 2, "payload": {"channel": "flights/JFK"}},
        {"v": 1, "type": "subscribe", "id": 3, "payload": {"channel": "nowhere"}},
    ]
    async with gateway.connect(hello=False) as client:
        await client.send_text(json.dumps(messages))
        await client.expect("welcome")
        answers = {m["id"]: m["type"] for m in [await client.receive(), await client.receive()]}
    assert answers == {2: "subscribed", 3: "error"}


async def test_second_hello_is_an_error_and_the_connection_goes_on(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.send("hello", client="x/1")
        assert (await client.expect("error"))["code"] == "bad_request"
        await client.subscribe("flights")


async def test_repeated_nonsense_closes(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.send_text("nonsense")
        assert (await client.expect("error"))["code"] == "bad_request"
        await client.connection.send(b"binary")
        assert (await client.expect("error"))["code"] == "bad_request"
        await client.send_text("[]")
        assert (await client.closed())[0] == 3501
    assert counted(gateway, 'tidewire_handshakes_total{outcome="bad_request"}') == 0  # it was over


async def test_too_many_messages_are_told_when_to_come_again(make_gateway: Any) -> None:
    async with (
        make_gateway(limits={"messages_in": 2, "subscriptions_per_connection": 1}) as gateway,
        gateway.connect() as client,
    ):
        for _ in range(3):
            await client.send("unsubscribe", sub=99)
            assert (await client.expect("error"))["code"] == "bad_request"
        await client.send("unsubscribe", sub=99)
        error = await client.expect("error")
    assert error["code"] == "rate_limited"
    assert 0 < error["retry_after_ms"] <= 30_000


async def test_subscriptions_are_limited(make_gateway: Any) -> None:
    async with (
        make_gateway(limits={"subscriptions_per_connection": 1}) as gateway,
        gateway.connect() as client,
    ):
        await client.subscribe("notices", mode="every")
        await client.send("subscribe", channel="flights")
        assert (await client.expect("error"))["code"] == "limit_exceeded"


async def test_oversize_frame_closes_1009(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.send_text("x" * 70_000)
        assert (await client.closed())[0] == 1009


async def test_invalid_utf8_closes_1007(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.subscribe("flights")
        await client.connection.send(b"\xff\xfe", text=True)
        assert (await client.closed())[0] == 1007
        assert counted(gateway, "tidewire_subscriptions") == 0


@pytest.mark.parametrize("parameter", ["token", "access_token", "Authorization"])
async def test_token_in_the_url_is_refused_before_the_upgrade(
    gateway: Gateway, parameter: str
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(f"{gateway.ws}?{parameter}=x"):
            pass
    assert refused.value.response.status_code == 400
    body = json.loads(refused.value.response.body)
    assert body["type"] == "urn:tidewire:problem:token-in-query"
    assert "hello" in body["detail"]


async def test_unknown_subprotocol_is_refused(gateway: Gateway) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(gateway.ws, subprotocols=[websockets.Subprotocol("mqtt")]):
            pass
    assert refused.value.response.status_code == 400
    body = json.loads(refused.value.response.body)
    assert body["type"] == "urn:tidewire:problem:other-subprotocol"


async def test_client_without_subprotocol_is_welcome(gateway: Gateway) -> None:
    async with gateway.connect(subprotocols=None) as client:
        await client.subscribe("flights")


async def test_token_opens_what_its_rights_cover(make_gateway: Any, tmp_path: Path) -> None:
    key = ensure_key(tmp_path / "token.key")
    token = issue_token(key, "ann", {"secret/*": [Action.SUBSCRIBE]}, ttl=60)
    headers = {"Authorization": f"Bearer {token}"}
    subprotocols = ["tidewire.v1.json", f"tidewire.bearer.{token}"]
    async with make_gateway(token_key_file=tmp_path / "token.key") as gateway:
        for options in (
            {"token": token},
            {"additional_headers": headers},
            {"subprotocols": subprotocols},
        ):
            async with gateway.connect(**options) as client:
                await client.subscribe("secret/a")
                await client.expect("snapshot")
                await client.send("subscribe", channel="secret")
                assert (await client.expect("error"))["code"] == "forbidden"


async def test_bad_token_closes_for_good_and_expired_one_asks_for_another(
    make_gateway: Any, tmp_path: Path
) -> None:
    key = ensure_key(tmp_path / "token.key")
    expired = issue_token(key, "ann", {}, ttl=-60)
    async with make_gateway(token_key_file=tmp_path / "token.key") as gateway:
        for token, code in (("nonsense", 3500), (expired, 3005)):
            async with gateway.connect(hello=False) as client:
                await client.send("hello", client="x/1", token=token)
                assert (await client.closed())[0] == code


async def test_token_that_runs_out_closes_unless_refreshed(
    make_gateway: Any, tmp_path: Path
) -> None:
    key = ensure_key(tmp_path / "token.key")
    async with (
        make_gateway(token_key_file=tmp_path / "token.key") as gateway,
        gateway.connect(token=issue_token(key, "ann", {}, ttl=2)) as idle,
        gateway.connect(token=issue_token(key, "bob", {}, ttl=2)) as busy,
    ):
        await busy.send("refresh", token=issue_token(key, "bob", {}, ttl=60))
        assert (await busy.expect("refreshed"))["expires_in_ms"] > 50_000
        assert (await idle.closed())[0] == 3005
        await busy.subscribe("flights")


async def test_refreshed_token_with_fewer_rights_ends_what_it_does_not_cover(
    make_gateway: Any, tmp_path: Path
) -> None:
    key = ensure_key(tmp_path / "token.key")
    both = {"secret/*": [Action.SUBSCRIBE]}
    one = {"secret/b": [Action.SUBSCRIBE]}
    async with (
        make_gateway(token_key_file=tmp_path / "token.key") as gateway,
        gateway.connect(token=issue_token(key, "ann", both, ttl=60)) as client,
    ):
        ended = (await client.subscribe("secret/a", snapshot=False))["sub"]
        await client.subscribe("secret/b", snapshot=False)
        await client.send("refresh", token=issue_token(key, "ann", one, ttl=60))
        await client.expect("refreshed")
        assert await client.expect("unsubscribed") == {
            "sub": ended,
            "code": "forbidden",
            "reason": "the new token does not allow secret/a",
        }
        assert counted(gateway, "tidewire_subscriptions") == 1


async def test_pings_measure_the_round_trip_and_quiet_links_get_a_message(
    make_gateway: Any,
) -> None:
    async with (
        make_gateway(limits={"ping_interval": 0.05}) as gateway,
        gateway.connect() as client,
    ):
        await client.expect("ping")
        await client.expect("ping")
        assert "tidewire_ping_rtt_seconds_count" in metrics(gateway)
        await eventually(lambda: counted(gateway, "tidewire_ping_rtt_seconds_count") >= 1)


async def test_client_that_never_pongs_is_closed(make_gateway: Any) -> None:
    async with make_gateway(limits={"ping_interval": 0.05}) as gateway:
        with await connected(gateway) as sock:
            data = await asyncio.to_thread(read_until_closed, sock)
    assert b"no pong came back" in data


async def test_old_connection_is_told_to_go_away_and_then_closed(make_gateway: Any) -> None:
    limits = {"connection_age": 0.2, "connection_age_jitter": 0, "goaway_window": 0.1}
    async with make_gateway(limits=limits) as gateway, gateway.connect() as client:
        goaway = await client.expect("goaway")
        assert goaway["reason"] == "connection age"
        assert 90 <= goaway["after_ms"] <= 100
        assert (await client.closed())[0] == 3001


async def test_node_that_stops_says_try_again(make_gateway: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(make_gateway())
        client = await stack.enter_async_context(gateway.connect())
        gateway.stop()
        assert (await client.closed())[0] == 3001


async def test_closed_connection_leaves_nothing_behind(gateway: Gateway) -> None:
    async with gateway.connect() as client:
        await client.subscribe("flights")
        assert len(gateway.node.connections) == 1
    await eventually(lambda: not gateway.node.connections)
    assert counted(gateway, "tidewire_connections") == 0
    assert counted(gateway, "tidewire_subscriptions") == 0
    assert counted(gateway, "tidewire_feeds") == 0


async def test_slow_client_is_detached_costs_nobody_else_and_catches_up(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    async with make_gateway(limits={"high_water": 4096}) as gateway, gateway.connect() as quick:
        with await connected(gateway, receive_buffer=4096) as sock:
            send_text(sock, {"v": 1, "type": "hello", "payload": {"client": "slow/1"}})
            send_text(
                sock,
                {
                    "v": 1,
                    "type": "subscribe",
                    "payload": {"channel": "notices", "mode": "latest", "snapshot": False},
                },
            )
            await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 1)
            await quick.subscribe("notices", mode="every")
            slow = next(c for c in gateway.node.connections if not is_quick(c, quick))
            count = 0
            while not slow.is_congested:
                await topics.publish("notices", f"k{count % 3}", {"n": count, "fill": "x" * 20_000})
                assert (await quick.expect("updates"))["events"][-1]["data"]["n"] == count
                count += 1
            await topics.publish("notices", "k0", "newest")
            assert (await quick.expect("updates"))["events"][-1]["data"] == "newest"
            data = await asyncio.to_thread(read_until, sock, b'"newest"')
    assert b'"lagging"' in data
    assert b'"state":"live"' not in data.partition(b'"lagging"')[0]


async def test_slow_client_that_reads_nothing_is_aborted(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    limits = {"high_water": 4096, "stall_timeout": 0.2}
    async with make_gateway(limits=limits) as gateway:
        with await connected(gateway, receive_buffer=4096) as sock:
            send_text(sock, {"v": 1, "type": "hello", "payload": {"client": "slow/1"}})
            request = {"channel": "notices", "mode": "every"}
            send_text(sock, {"v": 1, "type": "subscribe", "payload": request})
            await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 1)
            while gateway.node.connections:
                await topics.publish("notices", "k", "x" * 20_000)
                await asyncio.sleep(0)


async def test_peer_that_closes_with_unsent_bytes_does_not_stay(
    make_gateway: Any, topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewire_gateway.adopted._CLOSE_TIMEOUT", 0.2)
    for farewell in (bytes((0x88, 0x80, 0, 0, 0, 0)), None):
        async with make_gateway() as gateway:
            with await connected(gateway, receive_buffer=4096) as sock:
                await leave_bytes_unsent(gateway, topics, sock)
                if farewell is None:
                    sock.shutdown(socket.SHUT_WR)
                else:
                    sock.sendall(farewell)
                await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 0)
                await eventually(lambda: not gateway.node.connections)


async def leave_bytes_unsent(
    gateway: Gateway, topics: MemoryTopics, sock: socket.socket, count: int = 8
) -> None:
    """Subscribe, and have more written than the sockets take, below the high-water mark."""
    send_text(sock, {"v": 1, "type": "hello", "payload": {"client": "slow/1"}})
    send_text(
        sock,
        {"v": 1, "type": "subscribe", "payload": {"channel": "notices", "mode": "every"}},
    )
    await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 1)
    (connection,) = gateway.node.connections
    while connection._protocol.transport.get_write_buffer_size() == 0:
        await topics.publish("notices", "k", "x" * 20_000)
        await asyncio.sleep(0)
    assert not connection.is_congested


async def test_congested_client_is_not_read_until_it_has_drained(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    async with make_gateway(limits={"high_water": 4096}) as gateway:
        with await connected(gateway, receive_buffer=4096) as sock:
            send_text(sock, {"v": 1, "type": "hello", "payload": {"client": "slow/1"}})
            request = {"channel": "notices", "mode": "latest", "snapshot": False}
            send_text(sock, {"v": 1, "type": "subscribe", "payload": request})
            await eventually(lambda: counted(gateway, "tidewire_subscriptions") == 1)
            (connection,) = gateway.node.connections
            while not connection.is_congested:
                await topics.publish("notices", "k", "x" * 20_000)
                await asyncio.sleep(0)
            assert not connection._protocol.transport.is_reading()
            reading = asyncio.create_task(asyncio.to_thread(read_until, sock, b'"state":"live"'))
            await reading
            await eventually(connection._protocol.transport.is_reading)


async def test_slow_client_that_drains_is_not_taken_for_dead(
    make_gateway: Any, topics: MemoryTopics
) -> None:
    """Its pongs stand behind what it has not read yet; that it reads is life enough."""
    for n in range(30):
        await topics.publish("flights", f"JFK/{n}", "x" * 20_000, partition=0)
    limits = {"ping_interval": 0.1, "unanswered_pings": 1, "max_frame_out": 32 * 1024}
    async with make_gateway(limits=limits) as gateway:
        with await connected(gateway, receive_buffer=4096) as sock:
            send_text(sock, {"v": 1, "type": "hello", "payload": {"client": "slow/1"}})
            send_text(sock, {"v": 1, "type": "subscribe", "payload": {"channel": "flights"}})
            data = await asyncio.to_thread(read_slowly, sock, b'"JFK/29"', 30 * 20_000)
    assert b"no pong" not in data


def read_slowly(sock: socket.socket, marker: bytes, at_least: int) -> bytes:
    """Read in small pieces, over many heartbeats."""
    data = b""
    while marker not in data or len(data) < at_least:
        chunk = sock.recv(6_000)
        assert chunk, "closed too early"
        data += chunk
        time.sleep(0.01)  # the slowness is what is tested
    return data


async def test_many_refused_requests_close(make_gateway: Any) -> None:
    async with make_gateway(limits={"refusals": 5}) as gateway, gateway.connect() as client:
        await client.send_text(json.dumps([{"v": 1, "type": "nonsense"}] * 10))
        for _ in range(5):
            assert (await client.expect("error"))["code"] == "unknown_type"
        assert (await client.closed())[0] == 3501


async def test_frame_of_too_many_messages_is_refused_as_a_whole(make_gateway: Any) -> None:
    async with (
        make_gateway(limits={"messages_per_frame": 3}) as gateway,
        gateway.connect() as client,
    ):
        await client.send_text(json.dumps([{"v": 1, "type": "nonsense"}] * 4))
        assert (await client.expect("error"))["code"] == "bad_request"
        await client.subscribe("flights")


async def test_client_that_comes_back_resumes_all_it_may_have_at_once(make_gateway: Any) -> None:
    async with make_gateway(limits={"messages_in": 1}) as gateway, gateway.connect() as client:
        requests = [
            {"v": 1, "type": "subscribe", "id": n, "payload": {"channel": f"flights/G{n}"}}
            for n in range(300)
        ]
        await client.send_text(json.dumps(requests))
        for _ in requests:
            await client.expect("subscribed")
            await client.expect("snapshot")


async def test_refused_handshake_is_no_error_in_the_log(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(f"{gateway.ws}?token=x"):
            pass
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


async def test_connections_are_not_logged_one_by_one(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        async with gateway.connect() as client:
            await client.subscribe("flights")
        await eventually(lambda: not gateway.node.connections)
    loggers = {"uvicorn.access", "uvicorn.error", "tidewire_gateway.websocket"}
    assert [r for r in caplog.records if r.name in loggers] == []


async def test_answers_to_what_came_together_are_one_write(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    begin = PressureGauge.__init__

    def init(gauge: PressureGauge, *args: Any) -> None:
        begin(gauge, *args)
        write = gauge.write

        def counted_write(data: bytes) -> None:
            writes.append(data)
            write(data)

        gauge.write = counted_write

    monkeypatch.setattr(PressureGauge, "__init__", init)
    messages: list[dict[str, Any]] = [
        {"v": 1, "type": "hello", "payload": {"client": "x/1"}},
        {"v": 1, "type": "subscribe", "payload": {"channel": "flights"}},
    ]
    async with gateway.connect() as client:  # the partitions are live from here on
        await client.subscribe("flights")
        await client.expect("snapshot")
        writes.clear()
        with await connected(gateway) as sock:
            sock.sendall(b"".join(text_frame(message) for message in messages))
            data = await asyncio.to_thread(read_until, sock, b'"type":"snapshot"')
    assert [b"welcome" in write for write in writes] == [True]
    assert data.index(b'"welcome"') < data.index(b'"subscribed"') < data.index(b'"snapshot"')


async def test_many_answers_are_not_gathered_without_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewire_gateway.connection._MANY", 2)
    async with gateway.connect() as client:
        await client.send_text(json.dumps([{"v": 1, "type": "nonsense"}] * 7))
        for _ in range(7):
            assert (await client.expect("error"))["code"] == "unknown_type"


async def test_internal_port_tells_health_and_metrics(gateway: Gateway) -> None:
    transport = httpx.ASGITransport(create_internal_app(gateway.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).status_code == 200
        assert "tidewire_connections 0.0" in (await client.get("/metrics")).text


def metrics(gateway: Gateway) -> str:
    return gateway.node.instruments.metrics.render()[0].decode()


def counted(gateway: Gateway, name: str) -> float:
    for line in metrics(gateway).splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def is_quick(connection: Connection, client: Any) -> bool:
    local = client.connection.local_address
    peer = connection._protocol.transport.get_extra_info("peername")
    return bool(peer[1] == local[1])


async def connected(gateway: Gateway, receive_buffer: int | None = None) -> socket.socket:
    """A WebSocket that answers nothing by itself: no pong, no read."""
    return await asyncio.to_thread(silent_websocket, gateway.port, receive_buffer)


def silent_websocket(port: int, receive_buffer: int | None) -> socket.socket:
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sock.sendall(
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    read_until(sock, b"\r\n\r\n")  # RFC 6455, 4.1: nothing is sent before the answer
    return sock


def send_text(sock: socket.socket, message: dict[str, Any]) -> None:
    sock.sendall(text_frame(message))


def text_frame(message: dict[str, Any]) -> bytes:
    """As a client sends it: masked."""
    payload = json.dumps(message).encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def read_until_closed(sock: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := sock.recv(65_536):
            data += chunk
    return data


def read_until(sock: socket.socket, marker: bytes) -> bytes:
    data = b""
    while marker not in data:
        chunk = sock.recv(65_536)
        assert chunk, "closed too early"
        data += chunk
    return data
