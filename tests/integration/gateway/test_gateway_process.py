"""The process itself: what it says when it cannot start, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway_process import gateway_environment
from harness.ports import LOOPBACK


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text("streams: {flights: {topic: flights, public: true}}")
    return path


def command(streams: Path, **variables: str) -> dict[str, Any]:
    return {
        "args": [sys.executable, "-m", "tidewire_gateway"],
        "env": gateway_environment(streams, **variables),
        "cwd": streams.parent,
        "text": True,
    }


def refusal(streams: Path, **variables: str) -> str:
    """The one sentence of a node that cannot start."""
    ended = subprocess.run(
        **command(streams, **variables),
        capture_output=True,
        timeout=20,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    return str(line)


@contextmanager
def running(
    streams: Path, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process: subprocess.Popen[str] = subprocess.Popen(
        **command(streams, READY_JSON="1", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_node_starts_and_is_ready_while_kafka_is_away(streams: Path) -> None:
    with running(streams) as (process, ready):
        assert ready["pid"] == process.pid
        assert httpx.get(f"{ready['internal']}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{ready['internal']}/readyz").status_code == 200
        assert "tidewire_loop_lag_seconds" in httpx.get(f"{ready['internal']}/metrics").text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_node_ends_in_order_on_a_signal(streams: Path, number: signal.Signals) -> None:
    with running(streams, DRAIN_DELAY="0") as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=8) == 0


def test_port_in_use_is_one_sentence(streams: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(streams, PORT=str(port))
    assert f"port {port} on {LOOPBACK} is in use" in said
    assert "TIDEWIRE_GATEWAY__PORT" in said


def test_bad_configuration_is_one_sentence_that_names_it(streams: Path) -> None:
    assert "did you mean" in refusal(streams, PROT="1")
    assert "TIDEWIRE_GATEWAY__PORT" in refusal(streams, PORT="no")
    assert "token.key" in refusal(streams, TOKEN_KEY_FILE="token.key")
    assert "TOKENS: ISSUER is not set" in refusal(streams, TOKENS__KEY_FILES="issuer.pem")
    assert "issuer.pem" in refusal(streams, TOKENS__KEY_FILES="issuer.pem", TOKENS__ISSUER="x")
    streams.write_text("streams: {flights: {topic: flights, publik: true}}")
    assert "streams.yaml:1" in refusal(streams)
