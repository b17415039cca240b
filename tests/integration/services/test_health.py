"""Readiness is a matter of the service alone: what it works with may be away, which its metrics tell."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from harness.ports import LOOPBACK, free_port
from harness.redis import RedisProcess, redis_process
from harness.services import STREAM, Process, Services, running_services
from harness.waiting import wait_until
from tidewire.dev.broker_start import RunningBroker
from tidewire.dev.brokers import apache_kafka, embedded_broker

pytestmark = pytest.mark.timeout(180)

PATIENCE = 30.0
HEALTH = ("/healthz", "/startupz", "/readyz")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process(tmp_path / "redis") as process:
        yield process


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """One of the test's own, which it may kill."""
    with apache_kafka(tmp_path / "broker") as running:
        yield running


def health(part: Process) -> list[int]:
    return [part.get(path).status_code for path in HEALTH]


def are_well(parts: dict[str, Process]) -> None:
    told = {name: health(part) for name, part in parts.items()}
    assert told == {name: [200, 200, 200] for name in parts}


def await_port(part: Process, port: int) -> None:
    """Of one that answers about itself before it is ready."""
    part.ready = {"internal": f"http://{LOOPBACK}:{port}"}

    def answers() -> bool:
        try:
            return part.get("/healthz").is_success
        except httpx.TransportError:
            return False

    wait_until(answers, within=PATIENCE, what=f"the port of {part.name}")


def tells(part: Process, line: str, is_so: Callable[[float], bool]) -> None:
    wait_until(lambda: is_so(part.metric(line)), within=PATIENCE, what=f"{part.name}: {line}")


def post(services: Services, part: Process, path: str, event: object) -> int:
    headers = {"Authorization": f"Bearer {services.token('ann')}"}
    url = part.url + path
    return httpx.post(url, json=event, headers=headers, timeout=20, trust_env=False).status_code


def read(services: Services, gateway: Process) -> httpx.Response:
    """A channel once, over HTTP."""
    assert gateway.ready is not None
    url = f"{gateway.ready['http']}/v1/channels/{STREAM}"
    headers = {"Authorization": f"Bearer {services.token('ann')}"}
    return httpx.get(url, headers=headers, timeout=20, trust_env=False)


@pytest.mark.kafka
def test_every_service_stays_ready_whatever_it_works_with_is_away(
    broker: RunningBroker, redis: RedisProcess, tmp_path: Path
) -> None:
    with running_services(tmp_path, broker.bootstrap, redis.url) as services:
        services.make_topics()
        parts = services.start_all()
        gateway, publisher, registry, router = (
            parts[name] for name in ("gateway", "publisher", "registry", "router")
        )
        are_well(parts)
        assert post(services, publisher, "/v1/users/ann/events", {"data": 1}) == 200
        assert post(services, publisher, f"/v1/events/{STREAM}", {"key": "a", "data": 1}) == 200
        tells(router, 'router_messages_total{outcome="mailbox_only"}', lambda n: n == 1)
        assert read(services, gateway).status_code == 200

        redis.kill()
        tells(registry, "registry_store_up", lambda up: up == 0)
        tells(gateway, 'registry_calls_total{outcome="failed"}', lambda n: n >= 1)
        tells(gateway, "lease_held", lambda held: held == 0)
        assert post(services, publisher, "/v1/users/ann/events", {"data": 2}) == 200
        tells(router, 'router_failures_total{of="store"}', lambda n: n >= 1)
        are_well(parts)
        redis.on()
        tells(gateway, "lease_held", lambda held: held == 1)
        tells(router, "router_lag_records", lambda lag: lag == 0)

        registry.kill()
        others = {name: part for name, part in parts.items() if part is not registry}
        tells(gateway, "lease_held", lambda held: held == 0)
        assert post(services, publisher, "/v1/users/bob/events", {"data": 3}) == 200
        tells(router, "router_registry_away", lambda away: away == 1)
        assert post(services, publisher, "/v1/push", {"user": "ann", "data": 4}) == 503
        assert publisher.metric('pushes_total{outcome="unavailable"}') == 1
        are_well(others)
        parts["registry"] = services.start("registry")
        tells(gateway, "lease_held", lambda held: held == 1)
        tells(router, "router_registry_away", lambda away: away == 0)

        assert read(services, gateway).status_code == 200  # so that it reads the topic
        assert gateway.metric("kafka_away") == 0
        os.kill(broker.pid, signal.SIGKILL)
        tells(router, 'router_failures_total{of="kafka"}', lambda n: n >= 1)
        assert post(services, publisher, f"/v1/events/{STREAM}", {"key": "a", "data": 5}) == 503
        assert publisher.metric('events_published_total{outcome="unavailable"}') == 1
        wait_until(
            lambda: read(services, gateway).headers.get("Tidewire-State") == "stale",
            within=PATIENCE,
            what="the gateway's knowledge that Kafka is away",
        )
        assert gateway.metric("kafka_away") == 1
        are_well(parts)


def test_services_start_while_nothing_is_there_and_only_the_router_waits(tmp_path: Path) -> None:
    """It would have nothing to do; the others say more by their answers than by being taken out."""
    kafka_port = free_port()
    away = f"{LOOPBACK}:{kafka_port}"
    settings = {"KAFKA__CONNECT_TIMEOUT": "1"}
    with running_services(tmp_path, away, f"redis://{LOOPBACK}:{free_port()}") as services:
        begun = {"registry": services.begin("registry")}
        begun |= {name: services.begin(name, **settings) for name in ("publisher", "gateway")}
        port = free_port()
        router = services.begin("router", INTERNAL_PORT=str(port), **settings)
        for part in begun.values():
            part.wait_until_ready()
        are_well(begun)
        await_port(router, port)
        tells(router, 'router_failures_total{of="kafka"}', lambda n: n >= 1)
        assert health(router) == [200, 503, 503]
        assert [router.get(path).text for path in HEALTH[1:]] == ["starting\n", "starting\n"]

        # Nobody knows yet which tokens are revoked: they are neither accepted nor refused for good.
        assert read(services, begun["gateway"]).status_code == 503
        assert post(services, begun["publisher"], f"/v1/events/{STREAM}", {"key": "a"}) == 503
        undecided = 'tokens_refused_total{reason="undecided"}'
        assert begun["gateway"].metric(undecided) == begun["publisher"].metric(undecided) == 1
        with embedded_broker(tmp_path / "broker", kafka_port=kafka_port):
            wait_until(
                lambda: "token-undecided" not in read(services, begun["gateway"]).text,
                within=PATIENCE,
                what="the gateway's knowledge of what is revoked",
            )
        are_well(begun)


def test_a_publisher_listens_while_it_asks_for_kafka_the_first_time(tmp_path: Path) -> None:
    """Of a broker that takes the connection and says nothing; and it ends at once where that is wanted."""
    with (
        socket.create_server((LOOPBACK, 0)) as silent,
        running_services(tmp_path, f"{LOOPBACK}:{silent.getsockname()[1]}", "") as services,
    ):
        port = free_port()
        publisher = services.begin("publisher", PORT=str(port), KAFKA__CONNECT_TIMEOUT="60")
        await_port(publisher, port)
        assert health(publisher) == [200, 503, 503]
        assert [publisher.get(path).text for path in HEALTH[1:]] == ["starting\n", "starting\n"]
        publisher.child.terminate()
        wait_until(lambda: publisher.child.exit_code() is not None, within=PATIENCE)
        assert publisher.child.exit_code() == 0


def test_a_router_that_waits_for_its_store_has_not_started(
    embedded_kafka: str, tmp_path: Path
) -> None:
    redis = RedisProcess(tmp_path / "redis")
    with running_services(tmp_path, embedded_kafka, redis.url) as services:
        services.make_topics()
        port = free_port()
        router = services.begin("router", INTERNAL_PORT=str(port))
        await_port(router, port)
        tells(router, 'router_failures_total{of="store"}', lambda n: n >= 1)
        assert health(router) == [200, 503, 503]
        redis.on()
        try:
            router.wait_until_ready()  # without a registry, too
            assert health(router) == [200, 200, 200]
        finally:
            redis.off()
