"""Every service and the command line over a Kafka with TLS and passwords, and a Redis with both."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.heard import HEARD
from harness.leaks import CANARY
from harness.redis import redis_process
from harness.secure_kafka import PASSWORD, USER, Listener, SecureKafka
from harness.service_clients import asking, client_of
from harness.services import STREAM, Process, Services, running_services
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

REDIS_PASSWORD, WRONG = f"redis-{CANARY}", f"wrong-{CANARY}"
SERVICES = ("registry", "router", "publisher", "gateway")


@pytest.fixture
def security(secured_kafka: SecureKafka) -> dict[str, str]:
    """All but the password."""
    return {
        "KAFKA__SECURITY__PROTOCOL": "SASL_SSL",
        "KAFKA__SECURITY__CA_FILE": str(secured_kafka.authority.certificate),
        "KAFKA__SECURITY__MECHANISM": "SCRAM-SHA-512",
        "KAFKA__SECURITY__USERNAME": USER,
    }


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where services and commands find Kafka's password."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    names = [f"TIDEWIRE_{name.upper()}__KAFKA__SECURITY__PASSWORD" for name in SERVICES]
    for name in (*names, "TIDEWIRE_KAFKA__SECURITY__PASSWORD"):
        (folder / name).write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("TIDEWIRE_SECRETS_DIR", str(folder))
    return folder


@pytest.fixture
def services(
    secured_kafka: SecureKafka, security: dict[str, str], secrets: Path, tmp_path: Path
) -> Iterator[Services]:
    certificate = secured_kafka.authority.issue("redis-of-services")
    options = ["--requirepass", REDIS_PASSWORD]
    with redis_process(tmp_path / "redis", *options, tls=certificate) as redis:
        place = redis.url.replace("redis://", f"rediss://:{REDIS_PASSWORD}@")
        url = f"{place}/0?ssl_ca_certs={secured_kafka.authority.certificate}"
        with running_services(tmp_path, secured_kafka.bootstrap, url, **security) as running:
            running.make_topics()
            running.bootstrap = secured_kafka.at(Listener.SASL)
            yield running


def command(services: Services, security: dict[str, str], *words: str) -> str:
    environment = {
        **os.environ,
        "TIDEWIRE_KAFKA__BOOTSTRAP": services.bootstrap,
        **{f"TIDEWIRE_{name}": text for name, text in security.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "tidewire.cli", *words],
        cwd=services.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout
    return done.stdout


def test_events_and_messages_arrive_over_secure_stores(
    services: Services, security: dict[str, str]
) -> None:
    parts = services.start_all()
    checked = command(services, security, "topics", "apply", "--json")
    assert services.stream in checked
    token = services.token("ann")
    with (
        asking(parts["publisher"], token) as publisher,
        client_of(parts["gateway"], token) as client,
    ):
        client.subscribe(STREAM, mode="latest")
        published = publisher.post(f"/v1/events/{STREAM}", json={"key": "a", "data": "over HTTP"})
        assert published.status_code == 200, published.text
        client.until("updates", "over HTTP")
        event = json.dumps("by the command")
        command(services, security, "publish", STREAM, "--key", "b", "--data", event)
        client.until("updates", "by the command")
        client.subscribe("@me")
        published = publisher.post("/v1/users/ann/events", json={"data": "to a user"})
        assert published.status_code == 200, published.text
        client.until("updates", "to a user")
    services.stop()
    assert HEARD.take_leaks() == []


def said(part: Process, text: str) -> bool:
    return text in part.child.output()


def test_services_that_are_refused_say_so_again_and_again_and_never_the_password(
    services: Services, secrets: Path
) -> None:
    for file in secrets.iterdir():
        file.write_text(WRONG)
    services.redis_url = services.redis_url.replace(REDIS_PASSWORD, WRONG)
    parts = {name: services.begin(name) for name in SERVICES}
    told = "refuses our credentials: see that KAFKA__SECURITY__USERNAME and PASSWORD"
    wait_until(
        lambda: all(said(parts[name], told) for name in ("router", "publisher", "gateway")),
        within=20.0,
        what="the reasons of those that need Kafka",
    )
    parts["registry"].wait_until_ready()
    with asking(parts["registry"], services.token("ann")) as registry:
        registry.post("/v1/lookup", json={"users": ["ann"]})
    wait_until(
        lambda: said(parts["registry"], "see that the user and password in its URL may do this"),
        what="the registry's reason",
    )
    services.stop()
    assert HEARD.take_leaks() == []
