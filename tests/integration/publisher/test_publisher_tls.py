"""A publisher that speaks TLS itself."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.authority import Authority, make_authority
from harness.certificate import Certificate
from harness.kafka_topics import KafkaTopics
from harness.waiting import wait_until
from integration.publisher.test_publisher_process import publisher, refusal
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action

EVENT = {"key": "a", "data": 1}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def streams(tmp_path: Path, unique_name: Callable[[str], str], embedded_kafka: str) -> Path:
    """Of one stream, whose topic is there."""
    topic = unique_name("tls")
    KafkaTopics(embedded_kafka).create(topic, 1)
    path = tmp_path / "streams.yaml"
    path.write_text(f"streams: {{flights: {{topic: {topic}}}}}")
    return path


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Certificate:
    found = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    install(authority.issue("first"), found)
    return found


def install(pair: Certificate, files: Certificate) -> None:
    shutil.copy(pair.certificate, files.certificate)
    shutil.copy(pair.key, files.key)


@contextmanager
def secured(
    streams: Path, files: Certificate, kafka: str
) -> Iterator[tuple["subprocess.Popen[str]", str, dict[str, str]]]:
    """Outside development mode; with the headers of who may publish."""
    key = ensure_key(streams.parent / "token.key")
    token = issue_token(key, "ann", {"flights": [Action.PUBLISH]}, ttl=60)
    with publisher(
        streams,
        DEV="0",
        TOKEN_KEY_FILE=str(streams.parent / "token.key"),
        KAFKA__BOOTSTRAP=kafka,
        TLS__CERTIFICATE_FILE=str(files.certificate),
        TLS__KEY_FILE=str(files.key),
        TLS__RELOAD_INTERVAL="0.05",
    ) as (process, url):
        yield process, url, {"Authorization": f"Bearer {token}"}


def name_shown(url: str, trust: ssl.SSLContext) -> str:
    place = urlsplit(url)
    with (
        socket.create_connection((place.hostname, place.port), 10) as plain,
        trust.wrap_socket(plain, server_hostname=place.hostname) as sock,
    ):
        found = sock.getpeercert()
    assert found is not None
    return json.dumps(found["subject"])


def test_events_go_over_tls_and_in_no_other_way(
    streams: Path, files: Certificate, authority: Authority, embedded_kafka: str
) -> None:
    trust = ssl.create_default_context(cafile=authority.certificate)
    with secured(streams, files, embedded_kafka) as (process, url, headers):
        assert url.startswith("https://")
        with httpx.Client(verify=trust, base_url=url, trust_env=False) as client:
            answer = client.post("/v1/events/flights", json=EVENT, headers=headers)
            assert answer.status_code == 200, answer.text
            assert client.post("/v1/events/flights", json=EVENT).status_code == 401
            with pytest.raises(httpx.TransportError):
                httpx.post(url.replace("https", "http") + "/v1/events/flights", json=EVENT)
            counted = client.get("/metrics").text
        assert 'tidewire_tls_handshakes_total{outcome="done"} 1.0' in counted
        assert 'tidewire_tls_handshakes_total{outcome="failed"} 1.0' in counted
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_new_certificate_is_shown_and_a_connection_that_is_there_goes_on(
    streams: Path, files: Certificate, authority: Authority, embedded_kafka: str
) -> None:
    trust = ssl.create_default_context(cafile=authority.certificate)
    with (
        secured(streams, files, embedded_kafka) as (_, url, _headers),
        httpx.Client(verify=trust, base_url=url, trust_env=False) as client,
    ):
        assert client.get("/healthz").status_code == 200
        install(authority.issue("second"), files)
        wait_until(lambda: "second" in name_shown(url, trust), what="the new certificate")
        counted = client.get("/metrics").text
        used = [line for line in counted.splitlines() if 'handshakes_total{outcome="done"}' in line]
        assert float(used[0].split()[-1]) >= 2  # those that asked for it; the client needs no other


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "TIDEWIRE_PUBLISHER__TLS__CERTIFICATE_FILE: is not set, and outside development"),
        (
            {"TLS__CERTIFICATE_FILE": "no.crt", "TLS__KEY_FILE": "no.key"},
            "no.crt: cannot be read: No such file or directory",
        ),
        (
            {"TLS__CERTIFICATE_FILE": "streams.yaml", "TLS__KEY_FILE": "streams.yaml"},
            "are no certificate with its key",
        ),
    ],
)
def test_publisher_without_usable_tls_does_not_start_and_says_why(
    streams: Path, variables: dict[str, str], sentence: str
) -> None:
    ensure_key(streams.parent / "token.key")
    assert sentence in refusal(streams, DEV="0", TOKEN_KEY_FILE="token.key", **variables)
