"""All services with an internal key: they work together, and nobody else gets anything of them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from websockets import InvalidStatus
from websockets.sync.client import connect

from harness.gateway_process import gateway_environment
from harness.redis import RedisProcess, redis_process
from harness.service_clients import PATIENCE, asking, client_of
from harness.services import Process, Services, running_services
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

NEW, OLD, OTHER = (digit * 64 for digit in "abc")
OPEN = ("/healthz", "/readyz", "/startupz", "/metrics")
GUARDED = {
    "gateway": [
        ("GET", "/openapi.json"),
        ("POST", "/internal/drain"),
        ("POST", "/internal/push"),
        ("POST", "/internal/users/ann/disconnect"),
        ("POST", "/internal/connections/close"),
        ("POST", "/v1/flows/follow"),
        ("GET", "/console/"),
        ("GET", "/console/js/main.js"),
    ],
    "registry": [
        ("GET", "/openapi.json"),
        ("GET", "/v1/nodes"),
        ("POST", "/v1/nodes"),
        ("PUT", "/v1/nodes/n/lease"),
        ("DELETE", "/v1/nodes/n"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/lookup"),
        ("GET", "/v1/users/ann"),
        ("POST", "/v1/users/ann/disconnect"),
    ],
    "router": [("GET", "/openapi.json"), ("GET", "/anything")],
}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process(tmp_path / "redis") as process:
        yield process


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "internal.key"
    path.write_text(f"{OLD}\n")
    return path


@pytest.fixture
def services(
    embedded_kafka: str, redis: RedisProcess, tmp_path: Path, key_file: Path
) -> Iterator[Services]:
    with running_services(
        tmp_path, embedded_kafka, redis.url, INTERNAL_KEY_FILE=str(key_file), LOG_LEVEL="DEBUG"
    ) as running:
        running.make_topics()
        yield running


def ask(part: Process, method: str, path: str, key: str | None) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.request(
        method, part.url + path, headers=headers, timeout=PATIENCE, trust_env=False
    )


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def upgrade(part: Process, key: str | None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = f"{part.url.replace('http', 'ws', 1)}/v1/ws"
    try:
        with connect(url, additional_headers=headers, proxy=None, open_timeout=PATIENCE):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def posted_as_written(part: Process, path: str, cookie: str) -> int:
    """httpx would put the path in order."""
    host = part.url.removeprefix("http://")
    with contextlib.closing(HTTPConnection(host, timeout=PATIENCE)) as connection:
        connection.request("POST", path, headers={"Cookie": cookie})
        return connection.getresponse().status


def send_to(services: Services, publisher: Process, user: str, number: int) -> None:
    with asking(publisher, services.token(user)) as http:
        answer = http.post(f"/v1/users/{user}/events", json={"data": {"number": number}})
        assert answer.status_code == 200, answer.text


def is_known(services: Services, publisher: Process, user: str, number: int) -> None:
    """Pushed to where the registry says that the user is, by the node there."""

    def pushed() -> bool:
        with asking(publisher, services.token(user)) as http:
            answer = http.post("/v1/push", json={"user": user, "data": {"number": number}})
        told = answer.json()
        return [device["outcome"] for device in told.get("devices", ())] == ["delivered"]

    wait_until(pushed, within=PATIENCE, what=f"{user} is reached by a push")


def tidewire(*arguments: str, key_file: Path | None = None) -> subprocess.CompletedProcess[str]:
    options = [] if key_file is None else ["--internal-key-file", str(key_file)]
    return subprocess.run(
        [sys.executable, "-m", "tidewire.cli", *arguments, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def works(services: Services, parts: dict[str, Process], user: str) -> None:
    """A message by the topic, router and registry; a push by registry and node; an operator's disconnect."""
    with client_of(parts["gateway"], services.token(user)) as client:
        client.subscribe("@me", mode="every")
        send_to(services, parts["publisher"], user, 7001)
        client.until("updates", "7001")
        is_known(services, parts["publisher"], user, 7002)
        client.until("updates", "7002")


def test_with_a_key_everything_works_and_without_it_nothing_does(
    services: Services, key_file: Path, tmp_path: Path
) -> None:
    parts = services.start_all()
    works(services, parts, "ann")

    other = tmp_path / "other.key"
    other.write_text(OTHER)
    for name, paths in GUARDED.items():
        for method, path in paths:
            missing, wrong = (ask(parts[name], method, path, key) for key in (None, OTHER))
            assert kind_of(missing) == (401, "internal-key-missing"), (name, path)
            assert kind_of(wrong) == (401, "internal-key-wrong"), (name, path)
            assert f"TIDEWIRE_{name.upper()}__INTERNAL_KEY_FILE" in missing.text
        assert {path: parts[name].get(path).status_code for path in OPEN} == dict.fromkeys(
            OPEN, 200
        )
    assert ask(parts["registry"], "GET", "/v1/nodes", OLD).json()["slots"]["used"] == 1
    assert parts["gateway"].get("/readyz").json() == {"status": "ready"}  # no drain was begun

    url = services.registry_url
    assert "1 of 4 slots held" in tidewire("nodes", "--registry", url, key_file=key_file).stdout
    for refused in (
        tidewire("nodes", "--registry", url),
        tidewire("nodes", "--registry", url, key_file=other),
    ):
        assert refused.returncode == 2
        assert "INTERNAL_KEY_FILE" in refused.stderr

    with client_of(parts["gateway"], services.token("bob")) as client:
        client.subscribe("@me", mode="every")
        is_known(services, parts["publisher"], "bob", 7003)
        ended = tidewire(
            "user", "bob", "--disconnect", "--registry", url, "--json", key_file=key_file
        )
        assert json.loads(ended.stdout)["connections"] == 1, ended.stderr

    said = "".join(part.child.output() for part in parts.values())
    assert "refused without the internal key" in said
    assert not [key for key in (OLD, OTHER) if key in said]


def holds_lease(gateway: Process) -> bool:
    return gateway.metric("lease_held") == 1


def start_again(
    services: Services, parts: dict[str, Process], name: str, **settings: str
) -> Process:
    parts[name].child.terminate()
    parts[name].child.stop(PATIENCE)
    parts[name] = services.start(name, **settings)
    return parts[name]


def test_key_is_replaced_service_by_service_while_messages_go_on(
    services: Services, key_file: Path
) -> None:
    parts = services.start_all()
    for step, lines in enumerate((f"{OLD}\n{NEW}\n", f"{NEW}\n{OLD}\n", f"{NEW}\n")):
        key_file.write_text(lines)
        for name in parts:
            start_again(services, parts, name)
            wait_until(partial(holds_lease, parts["gateway"]), within=PATIENCE, what="the lease")
            works(services, parts, f"user-{step}-{name}")
    assert kind_of(ask(parts["registry"], "GET", "/v1/nodes", OLD)) == (401, "internal-key-wrong")
    assert ask(parts["registry"], "GET", "/v1/nodes", NEW).status_code == 200


def test_service_with_another_key_gets_nothing_and_says_why(
    services: Services, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    other.write_text(OTHER)
    parts = {name: services.start(name) for name in ("registry", "publisher")}
    gateway = services.start("gateway", INTERNAL_KEY_FILE=str(other))

    def said() -> list[str]:
        return [
            line["error"] for line in gateway.log() if line["event"] == "registry does not answer"
        ]

    (error,) = wait_until(said, within=PATIENCE, what="the node is refused")
    assert "401" in error
    assert "TIDEWIRE_REGISTRY__INTERNAL_KEY_FILE" in error
    assert gateway.metric("lease_held") == 0
    stranger = services.start("publisher", INTERNAL_KEY_FILE=str(other))
    with asking(stranger, services.token("ann")) as http:
        answer = http.post("/v1/push", json={"user": "ann", "data": {}})
    assert answer.status_code == 503
    with asking(parts["publisher"], services.token("ann")) as http:
        assert http.post("/v1/push", json={"user": "ann", "data": {}}).status_code == 200


def test_console_is_closed_to_who_has_no_key(services: Services, embedded_kafka: str) -> None:
    gateway = services.start("gateway", CONSOLE="true")
    assert [upgrade(gateway, key) for key in (None, OTHER, OLD)] == [401, 401, 101]
    login = f"{gateway.url}/console/login"
    with httpx.Client(timeout=PATIENCE, trust_env=False) as browser:
        page = browser.get(f"{gateway.url}/console/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert browser.post(login, data={"key": OTHER}).status_code == 401
        assert browser.post(login, data={"key": OLD}).status_code == 303
        assert "Tidewire console" in browser.get(f"{gateway.url}/console/").text
        session = "; ".join(f"{name}={text}" for name, text in browser.cookies.items())
    assert session
    for path in ("/internal/drain", "//internal/drain", "/healthz/../internal/drain"):
        assert posted_as_written(gateway, path, session) == 401
    for path in ("/console/../internal/drain", "/console/..%2finternal/drain"):
        assert posted_as_written(gateway, path, session) == 405  # of the page's files
    assert gateway.get("/readyz").json() == {"status": "ready"}
    assert OLD not in gateway.child.output()


@pytest.mark.parametrize(
    ("service", "settings"),
    [
        ("registry", {"HOST": "0.0.0.0"}),
        ("gateway", {"INTERNAL_HOST": "0.0.0.0"}),
        ("router", {"INTERNAL_HOST": "0.0.0.0"}),
    ],
)
@pytest.mark.parametrize("key", ["", "too short"])
def test_port_beyond_loopback_without_a_good_key_does_not_start(
    tmp_path: Path, service: str, settings: dict[str, str], key: str
) -> None:
    (tmp_path / "streams.yaml").write_text("streams: {flights: {topic: flights}}")
    own = {"TRUST_PROXY_TLS": "true", "STREAMS": str(tmp_path / "streams.yaml")}
    settings = settings | (own if service == "gateway" else {})
    if key:
        (tmp_path / "internal.key").write_text(key)
        settings["INTERNAL_KEY_FILE"] = str(tmp_path / "internal.key")
    bare = gateway_environment(tmp_path / "streams.yaml")
    environ = {name: text for name, text in bare.items() if not name.startswith("TIDEWIRE_")}
    prefix = f"TIDEWIRE_{service.upper()}__"
    environ |= {prefix + name: text for name, text in settings.items()}
    ended = subprocess.run(
        [sys.executable, "-m", f"tidewire_{service}"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "openssl rand -hex 32" in ended.stderr
    host = next(name for name in settings if name.endswith("HOST"))
    named = (
        [str(tmp_path / "internal.key")] if key else [prefix + host, prefix + "INTERNAL_KEY_FILE"]
    )
    assert [name for name in named if name not in ended.stderr] == []
