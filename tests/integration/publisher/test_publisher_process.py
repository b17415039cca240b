import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from harness.answering import answering
from harness.ports import LOOPBACK
from tidewire.config.streams_file import load_streams
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings
from tidewire.topics import apply_topics


@pytest.fixture
def streams(tmp_path: Path, unique_name: Callable[[str], str]) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text(f"streams:\n  flights: {{topic: {unique_name('http')}, partitions: 2}}\n")
    return path


def environment(streams: Path, **variables: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
    settings = {"STREAMS": str(streams), "HOST": LOOPBACK, "PORT": "0", "DEV": "1", **variables}
    return own | {f"TIDEWIRE_PUBLISHER__{name}": text for name, text in settings.items()}


@contextmanager
def publisher(streams: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A publisher that is ready, and its address; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tidewire_publisher"],
        env=environment(streams, READY_JSON="1", **variables),
        cwd=streams.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready == {"event": "ready", "http": ready["http"], "pid": process.pid}
        yield process, ready["http"]
    finally:
        process.kill()
        process.communicate(timeout=10)


def refusal(streams: Path, **variables: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_publisher"],
        env=environment(streams, **variables),
        cwd=streams.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_events_go_over_a_real_socket_to_a_real_broker(streams: Path, embedded_kafka: str) -> None:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=embedded_kafka))
    assert apply_topics(admin, load_streams(streams).streams).is_ok
    admin.close()
    key = ensure_key(streams.parent / "token.key")
    token = issue_token(key, "ann", {"flights": [Action.PUBLISH]}, ttl=60)
    with publisher(
        streams,
        KAFKA__BOOTSTRAP=embedded_kafka,
        DEV="0",
        TRUST_PROXY_TLS="1",
        TOKEN_KEY_FILE=str(streams.parent / "token.key"),
    ) as (process, url):
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20
        ) as client:
            batch = [{"key": "a", "data": n} for n in range(50)]
            answer = client.post("/v1/events/flights", json=batch)
            assert answer.status_code == 200, answer.text
            assert [e["offset"] for e in answer.json()["events"]] == list(range(50))
            too_large = client.post("/v1/events/flights", content=b"x" * 5_000_000)
            assert too_large.status_code == 415
            too_large = client.post(
                "/v1/events/flights",
                content=b"x" * 5_000_000,
                headers={"Content-Type": "application/json"},
            )
            assert too_large.status_code == 413
            assert client.get("/readyz").status_code == 200
            assert client.get("/healthz?token=hush").status_code == 200
        assert httpx.post(f"{url}/v1/events/flights", json=batch).status_code == 401
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "hush" not in errors
    for line in errors.splitlines():
        assert json.loads(line)["service"] == "publisher"


def test_users_are_reached_over_real_sockets(
    streams: Path, embedded_kafka: str, unique_name: Callable[[str], str]
) -> None:
    targeted = unique_name("targeted")
    admin = ConfluentAdmin(KafkaSettings(bootstrap=embedded_kafka))
    admin.create(TopicSpec(targeted, 4, {}))
    admin.close()
    with answering({}) as around:  # registry and node in one
        place = {
            "node": "gw-1",
            "slot": 0,
            "epoch": "e" * 32,
            "address": around.url,
            "connections": ["c1"],
        }
        around.answers["POST", "/v1/lookup"] = (200, {"places": {"a/b": [place]}})
        around.answers["POST", "/internal/push"] = (200, {"outcomes": {"c1": "delivered"}})
        variables = {"TARGETED_TOPIC": targeted, "REGISTRY_URL": around.url}
        with publisher(streams, KAFKA__BOOTSTRAP=embedded_kafka, **variables) as (process, url):
            with httpx.Client(base_url=url, timeout=20) as client:
                for path in ("/v1/users/a%2Fb/events", "/v1/users/a/b/events"):
                    answer = client.post(path, json=[{"data": 1}, {"data": 2}])
                    assert answer.status_code == 200, answer.text
                assert [e["offset"] for e in answer.json()["events"]] == [2, 3]
                broken = client.post("/v1/users/%FF/events", json={"data": 1})
                assert broken.json()["errors"][0]["field"] == "user"
                pushed = client.post("/v1/push", json={"user": "a/b", "data": 1, "id": "m"})
                assert pushed.json() == {
                    "id": "m",
                    "devices": [{"connection": "c1", "node": "gw-1", "outcome": "delivered"}],
                }
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert [asked.path for asked in around.asked] == ["/v1/lookup", "/internal/push"]


def test_without_a_broker_it_starts_and_asks_to_try_again(streams: Path) -> None:
    with publisher(streams, KAFKA__BOOTSTRAP="127.0.0.1:1", KAFKA__CONNECT_TIMEOUT="0.5") as (
        process,
        url,
    ):
        answer = httpx.post(f"{url}/v1/events/flights", json={"key": "a", "data": 1})
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_sentence(streams: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        told = refusal(streams, PORT=str(port))
    assert told == (
        f"tidewire-publisher: port {port} on {LOOPBACK} is in use: "
        "stop what listens there or set TIDEWIRE_PUBLISHER__PORT\n"
    )


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"STREAMS": "/no/streams.yaml"}, "/no/streams.yaml: no such file"),
        ({"PROT": "1"}, "TIDEWIRE_PUBLISHER__PROT: unknown setting; did you mean"),
        ({"HOST": "0.0.0.0"}, "TIDEWIRE_PUBLISHER__HOST: development mode"),
        ({"REGISTRY_URL": "registry:8082"}, "TIDEWIRE_PUBLISHER__REGISTRY_URL: must be an http"),
        ({"DEV": "0"}, "TIDEWIRE_PUBLISHER__TOKEN_KEY_FILE: is not set"),
        ({"TOKEN_KEY_FILE": "/no/key"}, "/no/key: no such token key"),
        (
            {"TOKENS__KEY_FILES": "/no/key", "TOKENS__ISSUER": "x"},
            "/no/key: cannot read the token key",
        ),
        ({"TOKENS__JWKS_URL": "http://10.0.0.1/x"}, "TOKENS__JWKS_URL: must be an https URL"),
    ],
)
def test_settings_that_cannot_be_used_are_told(
    streams: Path, variables: dict[str, str], sentence: str
) -> None:
    assert sentence in refusal(streams, **variables)


def test_client_that_leaves_amid_its_body_is_no_fault_of_ours(
    streams: Path, embedded_kafka: str
) -> None:
    head = "POST /v1/events/flights HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with publisher(streams, KAFKA__BOOTSTRAP=embedded_kafka) as (process, url):
        address = (LOOPBACK, httpx.URL(url).port or 0)
        with socket.create_connection(address, timeout=10) as leaving:
            leaving.sendall(f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode())
            assert leaving.recv(100).startswith(b"HTTP/1.1 100")  # its body is being read
            leaving.sendall(b"{")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert "Traceback" not in said
