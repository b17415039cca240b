"""A node that may not have the file descriptors it wants: new connections are refused, old ones kept."""

import contextlib
import json
import re
import socket
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from harness.few_descriptors import limited
from harness.gateway_process import GatewayProcess, hello, running_process
from harness.waiting import eventually, wait_until
from tidewire.http import bounded_head
from tidewire_gateway.descriptors import room_of

HARD = 240
ROOM = room_of(HARD)
WARNING = "too few file descriptors"


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text("streams: {flights: {topic: flights, public: true}}")
    return path


def is_alive(connection: ClientConnection) -> bool:
    """Whether the node answers what it is asked."""
    message = {"v": 1, "type": "unsubscribe", "id": 2, "payload": {"sub": "none"}}
    connection.send(json.dumps(message))
    return bool(json.loads(connection.recv(timeout=10))["id"] == 2)


def soft_limit(pid: int) -> int:
    (line,) = re.findall(
        r"^Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE
    )
    return int(line)


def silent_socket(gateway: GatewayProcess) -> socket.socket:
    address = urlsplit(gateway.ready["http"])
    return socket.create_connection((address.hostname, address.port), timeout=10)


def test_connections_that_do_not_fit_are_refused_and_those_there_are_stay(streams: Path) -> None:
    with (
        running_process(streams, launcher=limited(64, HARD)) as gateway,
        contextlib.ExitStack() as opened,
    ):
        (line,) = [text for text in gateway.said().splitlines() if WARNING in text]
        warning = json.loads(line)
        assert (warning["needed"], warning["allowed"]) == (20_512, HARD)
        for cure in ("ulimit -n 20512", "LimitNOFILE=20512", f"MAX_CONNECTIONS={ROOM.connections}"):
            assert cure in warning["cure"]
        clients = [
            opened.enter_context(hello(gateway.ready["ws"]))[0] for _ in range(ROOM.connections)
        ]
        for _ in range(20):
            with pytest.raises(InvalidStatus) as refused, hello(gateway.ready["ws"]):
                pass
            assert refused.value.response.status_code == 503
            assert "Retry-After" in refused.value.response.headers
        assert httpx.get(f"{gateway.ready['internal']}/readyz").json() == {"status": "overloaded"}
        assert all(map(is_alive, clients))


def test_sockets_beyond_all_descriptors_cost_nobody_else_anything(streams: Path) -> None:
    with (
        running_process(streams, launcher=limited(HARD, HARD)) as gateway,
        hello(gateway.ready["ws"]) as (client, _),
    ):
        with contextlib.ExitStack() as flood:
            for _ in range(2 * HARD):
                flood.enter_context(silent_socket(gateway))
            assert is_alive(client)
            assert httpx.get(f"{gateway.ready['internal']}/healthz").json() == {"status": "ok"}

        def is_accepted_again() -> bool:
            with contextlib.suppress(OSError), hello(gateway.ready["ws"]):
                return True
            return False

        wait_until(is_accepted_again, what="a new connection")
        assert is_alive(client)
        assert gateway.said().count("no file descriptor to spare") <= 6


def test_soft_limit_is_raised_as_far_as_it_may(streams: Path) -> None:
    with running_process(
        streams, launcher=limited(64, 1000), LIMITS__MAX_CONNECTIONS="400"
    ) as gateway:
        assert soft_limit(gateway.process.pid) == 1000
        assert WARNING not in gateway.said()


def test_limit_that_suffices_is_left_alone(streams: Path) -> None:
    with running_process(
        streams, launcher=limited(800, 1000), LIMITS__MAX_CONNECTIONS="100"
    ) as gateway:
        assert soft_limit(gateway.process.pid) == 800


async def test_socket_that_sends_no_request_is_closed_and_others_are_not(
    make_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_head, "_HEAD_TIMEOUT", 0.2)
    async with make_gateway() as gateway, gateway.connect(hello=False) as client:
        for started in (b"", b"GET / HTTP/1.1\r\nHost: here\r\n"):
            with socket.create_connection(("127.0.0.1", gateway.port)) as slow:
                slow.setblocking(False)
                slow.send(started) if started else None
                await eventually(partial(is_closed, slow), what="the close")
        async with httpx.AsyncClient(base_url=gateway.http) as http:
            assert (await http.get("/v1/channels/none")).status_code == 404
        await client.hello()


def is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
