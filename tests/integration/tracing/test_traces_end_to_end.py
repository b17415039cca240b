"""One trace from a request to the frame that brings it to a client, through real processes and a real collector."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.otlp import GRPC, HTTP, Collector, SentSpan, collector
from harness.redis import redis_process
from harness.service_clients import Client, asking, client_of
from harness.services import STREAM, Process, Services, running_services
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

PATIENCE = 20.0
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(params=[HTTP, GRPC])
def collected(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collector]:
    """Where every process that is started from now on sends its spans."""
    with collector(request.param) as found:
        for name, text in found.environment().items():
            monkeypatch.setenv(name, text)
        yield found


@pytest.fixture
def services(embedded_kafka: str, collected: Collector, tmp_path: Path) -> Iterator[Services]:
    with (
        redis_process(tmp_path / "redis") as redis,
        running_services(tmp_path, embedded_kafka, redis.url) as running,
    ):
        running.make_topics()
        yield running


@pytest.fixture
def parts(services: Services) -> dict[str, Process]:
    return services.start_all()


def frame_of(client: Client, text: str) -> str:
    """The `traceparent` of the frame that carries it."""
    return str(client.until("updates", text)["traceparent"])


def chain(collected: Collector, root: SentSpan, *names: str) -> list[SentSpan]:
    """Waits for spans that are each a child of the one before, the first of ``root``."""
    found = [root]
    for name in names:
        found.append(_child(collected, found[-1], name))
    return found


def _child(collected: Collector, parent: SentSpan, name: str) -> SentSpan:
    return wait_until(lambda: collected.child_of(parent, name), within=PATIENCE, what=name)


def root_of(collected: Collector, name: str) -> SentSpan:
    [root] = wait_until(lambda: collected.named(name), within=PATIENCE, what=name)
    return root


def test_one_trace_goes_from_a_request_to_the_frame(
    services: Services, parts: dict[str, Process], collected: Collector
) -> None:
    token = services.token("ann")
    with (
        asking(parts["publisher"], token) as publisher,
        client_of(parts["gateway"], token) as client,
    ):
        _a_stream(services, collected, publisher, client)
        _a_push(collected, publisher, client)
        _a_message_to_a_user(services, collected, publisher, client)
    for name in ("publisher", "router", "gateway"):
        _are_counted(parts[name])


def test_what_waits_to_be_sent_is_handed_over_at_the_end(
    services: Services, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    parts = services.start_all()
    token = services.token("ann")
    with (
        asking(parts["publisher"], token) as publisher,
        client_of(parts["gateway"], token) as client,
    ):
        client.subscribe("@me")
        client.subscribe(STREAM, mode="latest")
        publisher.post("/v1/users/ann/events", json={"data": "to a user"})
        client.until("updates", "to a user")
        publisher.post(f"/v1/events/{STREAM}", json={"key": "a", "data": "of a stream"})
        client.until("updates", "of a stream")
    assert collected.spans == []
    services.stop()
    for service in ("tidewire-publisher", "tidewire-router", "tidewire-gateway"):
        assert [span for span in collected.spans if span.service == service], service


def _are_counted(part: Process) -> None:
    wait_until(
        lambda: part.metric('trace_spans_total{outcome="exported"}') > 0,
        what=f"the {part.name}'s count of its spans",
    )
    assert part.metric('trace_spans_total{outcome="failed"}') == 0


def _a_stream(services: Services, collected: Collector, publisher: Any, client: Client) -> None:
    client.subscribe(STREAM, mode="latest")
    event = {"key": "a", "data": "of a stream"}
    assert publisher.post(f"/v1/events/{STREAM}", json=event).status_code == 200
    frame = frame_of(client, "of a stream")
    topic = services.stream
    root = root_of(collected, f"send {topic}")
    [send, process, push] = chain(collected, root, f"process {topic}", f"push {STREAM}")
    assert (send.parent_id, send.service) == ("", "tidewire-publisher")
    assert (send.kind, process.kind, push.kind) == ("PRODUCER", "CONSUMER", "PRODUCER")
    assert {process.service, push.service} == {"tidewire-gateway"}
    assert process.attributes["messaging.kafka.offset"] == send.attributes["messaging.kafka.offset"]
    assert push.links == (process.span_id,)
    assert frame == push.traceparent


def _a_push(collected: Collector, publisher: Any, client: Client) -> None:
    client.subscribe("@me")
    body = {"user": "ann", "data": "of a push"}

    def is_delivered() -> bool:
        answer = publisher.post("/v1/push", json=body, headers={"traceparent": CALLER}).json()
        return [device["outcome"] for device in answer["devices"]] == ["delivered"]

    wait_until(is_delivered, within=PATIENCE, what="the registry's knowledge of the connection")
    frame = frame_of(client, "of a push")
    [push] = wait_until(
        lambda: [span for span in collected.named("push @me") if span.traceparent == frame],
        within=PATIENCE,
        what="the node's span",
    )
    [send] = wait_until(
        lambda: [span for span in collected.named("send @me") if span.span_id == push.parent_id],
        within=PATIENCE,
        what="the publisher's span",
    )
    assert f"00-{send.trace_id}-{send.parent_id}-01" == CALLER
    assert (send.trace_id, push.attributes["tidewire.connections"]) == (push.trace_id, 1)


def _a_message_to_a_user(
    services: Services, collected: Collector, publisher: Any, client: Client
) -> None:
    answer = publisher.post("/v1/users/ann/events", json={"data": "to a user"})
    assert answer.status_code == 200, answer.text
    frame = frame_of(client, "to a user")
    targeted, inbox = services.targeted, services.inbox
    root = root_of(collected, f"send {targeted}")
    found = chain(
        collected, root, f"process {targeted}", f"send {inbox}", f"process {inbox}", "push @me"
    )
    assert [span.service for span in found] == [
        "tidewire-publisher",
        *("tidewire-router", "tidewire-router"),
        *("tidewire-gateway", "tidewire-gateway"),
    ]
    assert [span.kind for span in found] == [
        *("PRODUCER", "CONSUMER"),
        *("PRODUCER", "CONSUMER"),
        "PRODUCER",
    ]
    assert (found[0].parent_id, {span.trace_id for span in found}) == ("", {root.trace_id})
    assert found[2].attributes["tidewire.node"] == "node-1"
    assert frame == found[-1].traceparent
