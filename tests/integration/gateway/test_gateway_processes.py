"""Several nodes behind one port: spread, drained together, started again, ended with the process above them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from harness.gateway_process import (
    PATIENCE,
    children_of,
    gateway_environment,
    hello,
    running_process,
)
from harness.ports import LOOPBACK, free_port
from harness.processes import is_gone
from harness.waiting import wait_until
from tidewire.config.listening import bind

ATTEMPTS = 64
TWO = ("--processes", "2")
AT_ONCE = {"DRAIN_DELAY": "0", "DRAIN_WINDOW": "1"}


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text("streams: {flights: {topic: flights, public: true}}")
    return path


@contextlib.contextmanager
def client_of_each(ws: str, names: set[str]) -> Iterator[dict[str, ClientConnection]]:
    """One connection to each of the nodes, found by trying: the kernel chooses."""
    with contextlib.ExitStack() as opened:
        clients: dict[str, ClientConnection] = {}
        for _ in range(ATTEMPTS):
            connection, name = opened.enter_context(hello(ws))
            clients.setdefault(name, connection)
            if set(clients) == names:
                break
        assert set(clients) == names
        yield clients


def read_to_end(connection: ClientConnection) -> tuple[list[str], int | None]:
    """The types of the messages until the close, and its code."""
    kinds = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            kinds.append(json.loads(connection.recv(timeout=PATIENCE))["type"])
    return kinds, connection.protocol.close_code


def refusal(streams: Path, *options: str, **variables: str) -> str:
    """The one sentence of a start that fails, of which nothing is left."""
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_gateway", *options],
        env=gateway_environment(streams, LOG_LEVEL="ERROR", **variables),
        cwd=streams.parent,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return str(line)


@contextlib.contextmanager
def taken_after_a_free_one() -> Iterator[int]:
    """A port in use, the one below which is free."""
    for _ in range(ATTEMPTS):
        below = free_port()
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, below + 1)):
            yield below + 1
            return
    raise AssertionError("no two ports beside each other are free")


def is_draining(internal: str) -> bool:
    return bool(httpx.get(f"{internal}/readyz").json() == {"status": "draining"})


def test_all_nodes_serve_one_port_and_each_is_its_own(streams: Path) -> None:
    with running_process(streams, *TWO, NODE="gate") as gateway:
        names = {node["node"] for node in gateway.nodes}
        internals = {node["internal"] for node in gateway.nodes}
        assert names == {"gate-1", "gate-2"}
        assert len(internals) == 2
        assert len({node["ws"] for node in gateway.nodes}) == 1
        assert {node["pid"] for node in gateway.nodes} == set(children_of(gateway.process.pid))
        with client_of_each(gateway.nodes[0]["ws"], names):
            for internal in internals:
                metrics = httpx.get(f"{internal}/metrics").text
                (line,) = [
                    text
                    for text in metrics.splitlines()
                    if text.startswith("tidewire_connections ")
                ]
                assert float(line.split()[-1]) >= 1


def test_sigterm_drains_all_nodes_and_ends_in_order(streams: Path) -> None:
    with running_process(streams, *TWO, **AT_ONCE) as gateway:
        names = {node["node"] for node in gateway.nodes}
        with client_of_each(gateway.nodes[0]["ws"], names) as clients:
            gateway.process.send_signal(signal.SIGTERM)
            for client in clients.values():
                kinds, code = read_to_end(client)
                assert kinds == ["goaway"]
                assert code == 3001
        assert gateway.process.wait(PATIENCE) == 0
        assert all(is_gone(node["pid"]) for node in gateway.nodes)
        assert "ended by itself" not in gateway.said()


def test_sigterm_to_everybody_drains_once_and_a_second_one_above_ends_at_once(
    streams: Path,
) -> None:
    with running_process(streams, *TWO, DRAIN_DELAY="3000") as gateway:
        pids = [node["pid"] for node in gateway.nodes]
        for pid in [*pids, gateway.process.pid]:  # as a service manager does it
            os.kill(pid, signal.SIGTERM)
        for node in gateway.nodes:
            wait_until(partial(is_draining, node["internal"]), what="draining")
        os.kill(pids[0], signal.SIGTERM)
        assert is_draining(gateway.nodes[0]["internal"])
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(PATIENCE) == 0
        assert all(map(is_gone, pids))


def test_sigint_ends_all_nodes_at_once(streams: Path) -> None:
    with running_process(streams, *TWO, DRAIN_DELAY="3000") as gateway:
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(PATIENCE) == 0
        assert all(is_gone(node["pid"]) for node in gateway.nodes)
        assert "Traceback" not in gateway.said()


def test_killed_node_is_started_again_where_it_was_while_the_other_serves(streams: Path) -> None:
    with running_process(streams, *TWO) as gateway:
        killed, other = gateway.nodes
        os.kill(killed["pid"], signal.SIGKILL)
        wait_until(lambda: is_gone(killed["pid"]), what="the end of the node")
        with hello(other["ws"]) as (_, name):
            assert name == other["node"]

        def is_back() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{killed['internal']}/readyz").status_code == 200
            return False

        wait_until(is_back, within=20, what="the node on its internal port")
        pids = set(children_of(gateway.process.pid))
        assert other["pid"] in pids
        assert len(pids) == 2
        with client_of_each(other["ws"], {killed["node"], other["node"]}):
            pass


def test_node_that_drains_alone_leaves_the_port_to_the_other(streams: Path) -> None:
    # Several connections may be found on it: all are told within half of the window.
    with running_process(streams, *TWO, DRAIN_DELAY="0", DRAIN_WINDOW="20") as gateway:
        leaving, other = gateway.nodes
        with client_of_each(leaving["ws"], {leaving["node"], other["node"]}) as clients:
            os.kill(leaving["pid"], signal.SIGTERM)
            told = json.loads(clients[leaving["node"]].recv(timeout=PATIENCE))
            assert told["type"] == "goaway"
            for _ in range(16):
                with hello(other["ws"]) as (_, name):
                    assert name == other["node"]


def test_no_node_outlives_a_killed_parent(streams: Path) -> None:
    with running_process(streams, *TWO) as gateway:
        gateway.process.kill()
        for node in gateway.nodes:
            wait_until(partial(is_gone, node["pid"]), what="the end of a node")


def test_port_in_use_is_one_sentence_before_any_node_starts(streams: Path) -> None:
    with bind(LOOPBACK, 0, "PORT") as taken:
        port = str(taken.getsockname()[1])
        said = refusal(streams, *TWO, PORT=port)
    assert f"port {port} on {LOOPBACK} is in use" in said
    assert "TIDEWIRE_GATEWAY__PORT" in said


def test_port_of_several_nodes_is_shared_with_nobody_else(streams: Path) -> None:
    with running_process(streams, *TWO) as gateway:
        port = gateway.nodes[0]["http"].rpartition(":")[2]
        assert f"port {port} on {LOOPBACK} is in use" in refusal(streams, *TWO, PORT=port)
        assert f"port {port} on {LOOPBACK} is in use" in refusal(streams, PORT=port)


def test_node_that_cannot_run_as_configured_ends_all(streams: Path) -> None:
    with taken_after_a_free_one() as taken:
        said = refusal(streams, *TWO, INTERNAL_PORT=str(taken - 1))
    assert f"port {taken} on {LOOPBACK} is in use" in said


@pytest.mark.parametrize("number", ["0", "65", "-1", "many", "1.5", "9" * 5000])
def test_number_of_processes_that_cannot_be_is_one_sentence(streams: Path, number: str) -> None:
    said = refusal(streams, f"--processes={number}")
    assert f"--processes {number} is not possible: give 1 to 64" in said


def test_what_is_wrong_for_all_nodes_is_told_once(streams: Path) -> None:
    assert "token.key" in refusal(streams, *TWO, TOKEN_KEY_FILE="token.key")
    tokens = {"TOKENS__KEY_FILES": "issuer.pem", "TOKENS__ISSUER": "x"}
    assert "issuer.pem" in refusal(streams, *TWO, **tokens)
    streams.write_text("streams: {flights: {topic: flights, publik: true}}")
    assert "streams.yaml:1" in refusal(streams, *TWO)


def test_node_of_a_parent_that_is_gone_does_not_start(streams: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert f"process {gone.pid}" in refusal(streams, "--child-of", str(gone.pid))


def test_command_becomes_the_gateway(streams: Path) -> None:
    command = [sys.executable, "-m", "tidewire.cli", "gateway", *TWO]
    with subprocess.Popen(
        command,
        env=gateway_environment(streams, READY_JSON="1"),
        cwd=streams.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert {node["pid"] for node in ready["nodes"]} == set(children_of(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
