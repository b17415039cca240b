"""A collector that is not there, or that never answers: everything is delivered, and everything ends in time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.otlp import GRPC, HTTP, Collector, silent_collector
from harness.ports import LOOPBACK, free_port
from harness.redis import redis_process
from harness.service_clients import asking, client_of
from harness.services import STREAM, Process, Services, running_services
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

PATIENCE = 20.0
TRACED = ("publisher", "router", "gateway")
FAILED = 'trace_spans_total{outcome="failed"}'


@contextlib.contextmanager
def absent_collector(protocol: str) -> Iterator[Collector]:
    yield Collector(f"http://{LOOPBACK}:{free_port()}", protocol)


@pytest.fixture(
    params=[
        pytest.param((absent_collector, HTTP), id="absent-http"),
        pytest.param((absent_collector, GRPC), id="absent-grpc"),
        pytest.param((silent_collector, HTTP), id="silent-http"),
        pytest.param((silent_collector, GRPC), id="silent-grpc"),
    ]
)
def services(
    request: pytest.FixtureRequest,
    embedded_kafka: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    make, protocol = request.param
    with (
        make(protocol) as collector,
        redis_process(tmp_path / "redis") as redis,
        running_services(tmp_path, embedded_kafka, redis.url) as running,
    ):
        for name, text in collector.environment().items():
            monkeypatch.setenv(name, text)
        running.make_topics()
        yield running


def test_what_nobody_collects_is_delivered_all_the_same(services: Services) -> None:
    parts = services.start_all()
    token = services.token("ann")
    with (
        asking(parts["publisher"], token) as publisher,
        client_of(parts["gateway"], token) as client,
    ):

        def deliver(number: int) -> None:
            event = {"key": "a", "data": f"event {number}"}
            assert publisher.post(f"/v1/events/{STREAM}", json=event).status_code == 200
            assert client.until("updates", f"event {number}")["traceparent"]
            told = {"data": f"message {number}"}
            assert publisher.post("/v1/users/ann/events", json=told).status_code == 200
            client.until("updates", f"message {number}")

        client.subscribe(STREAM, mode="latest")
        client.subscribe("@me")
        deliver(0)
        for name in TRACED:
            _wait_for_failures(parts[name])
        for number in range(1, 20):
            deliver(number)
    _end(parts)


def _wait_for_failures(part: Process) -> None:
    wait_until(lambda: part.metric(FAILED) > 0, within=40.0, what=f"{part.name}: {FAILED}")


def _end(parts: dict[str, Process]) -> None:
    """All at once, each within what it is given anyway."""
    children = [parts[name].child for name in TRACED]
    for child in children:
        child.terminate()
    wait_until(
        lambda: None not in [child.exit_code() for child in children],
        within=12.0,
        what="the end of all",
    )
    assert [(child.name, child.exit_code()) for child in children] == [(name, 0) for name in TRACED]
