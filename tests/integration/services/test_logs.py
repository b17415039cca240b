"""Payloads and tokens go through every service, which log all they can, and none of it stands in a log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.sync.client import connect

from harness.heard import HEARD
from harness.leaks import CANARY
from harness.redis import RedisProcess, redis_process
from harness.service_clients import PATIENCE, asking, client_of
from harness.services import SLOTS, STREAM, Process, Services, running_services
from harness.waiting import wait_until
from tidewire import __version__
from tidewire.kafka.confluent_clients import ConfluentReader, ConfluentWriter
from tidewire.kafka.records import NewRecord, TopicPartition
from tidewire.kafka.settings import KafkaSettings

pytestmark = pytest.mark.timeout(180)

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process(tmp_path / "redis") as process:
        yield process


@pytest.fixture
def services(embedded_kafka: str, redis: RedisProcess, tmp_path: Path) -> Iterator[Services]:
    with running_services(tmp_path, embedded_kafka, redis.url, LOG_LEVEL="DEBUG") as running:
        running.make_topics()
        yield running


def write(
    services: Services, topic: str, key: bytes | None, value: bytes, partition: int = 0
) -> None:
    """A record as others write it, which need not be an event."""
    writer = ConfluentWriter(KafkaSettings(bootstrap=services.bootstrap))
    writer.offer(NewRecord(topic, partition, key, value))
    assert writer.flush(PATIENCE) == 0
    writer.close(PATIENCE)


async def values(services: Services, topic: str, count: int) -> list[bytes]:
    """Those of the first records in partition 0."""
    reader = ConfluentReader(KafkaSettings(bootstrap=services.bootstrap))
    await reader.start()
    try:
        await reader.assign({TopicPartition(topic, 0): 0})
        found: list[bytes] = []
        while len(found) < count:
            fetched = await reader.fetch(max_records=count, max_wait=0.5)
            found += [record.value or b"" for record in fetched.records]
        return found
    finally:
        await reader.close()


def text(number: int) -> dict[str, Any]:
    return {"number": number, "text": CANARY}


def shown(number: int) -> str:
    """The `text` as it stands in a message."""
    return json.dumps(text(number))


def publish(http: httpx.Client, path: str, number: int) -> None:
    event = {"data": text(number)} if "/users/" in path else {"key": "a", "data": text(number)}
    answer = http.post(path, json=event)
    assert answer.status_code == 200, answer.text


def pushed(http: httpx.Client, number: int) -> list[str]:
    """What became of it, by device."""
    answer = http.post("/v1/push", json={"user": "ann", "data": text(number)})
    assert answer.status_code == 200, answer.text
    return [device["outcome"] for device in answer.json()["devices"]]


@pytest.fixture
def parts(services: Services) -> dict[str, Process]:
    return services.start_all()


@pytest.fixture(autouse=True)
def _all_is_heard(services: Services, parts: dict[str, Process]) -> Iterator[None]:
    """At the end of each test every service has written its log, and given nothing away in it."""
    yield
    services.stop()
    for name, part in parts.items():
        assert any(line["service"] == name for line in part.log()), name
    assert "debug" in {line["level"] for part in parts.values() for line in part.log()}
    assert HEARD.take_leaks() == []


def test_events_of_a_stream_stand_in_no_log(services: Services, parts: dict[str, Process]) -> None:
    token = services.token("ann")
    with (
        asking(parts["publisher"], token) as publisher,
        client_of(parts["gateway"], token) as client,
    ):
        client.subscribe(STREAM, mode="latest")
        publish(publisher, f"/v1/events/{STREAM}", 1)
        client.until("updates", shown(1))
        write(services, services.stream, b"b", b"no JSON, " + CANARY.encode())
        write(services, services.stream, None, b"no key, " + CANARY.encode())
        publish(publisher, f"/v1/events/{STREAM}", 2)
        client.until("updates", shown(2))
        wait_until(
            lambda: parts["gateway"].metric('events_rejected_total{reason="not_json"}') == 1,
            what="the record that is none",
        )
    with asking(parts["gateway"], token) as gateway:
        assert CANARY in gateway.get(f"/v1/channels/{STREAM}").text


async def test_messages_to_a_user_stand_in_no_log(
    services: Services, redis: RedisProcess, parts: dict[str, Process]
) -> None:
    token = services.token("ann")
    router, gateway = parts["router"], parts["gateway"]
    with asking(parts["publisher"], token) as publisher:
        with client_of(gateway, token) as client:
            position = client.subscribe("@me")["position"]
            wait_until(
                lambda: pushed(publisher, 1) == ["delivered"],
                what="the registry's knowledge of the connection",
            )
            client.until("updates", shown(1))
            publish(publisher, "/v1/users/ann/events", 2)
            client.until("updates", shown(2))

        redis.tell("CONFIG", "SET", "maxmemory", "1")
        publish(publisher, "/v1/users/ann/events", 3)
        wait_until(
            lambda: router.metric('router_failures_total{of="store"}') >= 1,
            within=PATIENCE,
            what="a mailbox that takes nothing",
        )
        redis.tell("CONFIG", "SET", "maxmemory", "0")
        with client_of(gateway, token) as client:
            client.subscribe("@me", since=position)
            client.until("updates", shown(3))

    write(services, services.targeted, b"", b"to nobody, " + CANARY.encode())
    write(services, services.targeted, b"ann", b"no JSON, " + CANARY.encode())
    for slot in range(SLOTS):
        write(services, services.inbox, b"ann", b"no letter, " + CANARY.encode(), slot)
    wait_until(
        lambda: gateway.metric('letters_total{outcome="unreadable"}') == 1,
        within=PATIENCE,
        what="the inbox record that is no letter",
    )
    dead = await values(services, services.dlq, 1)
    assert CANARY.encode() in dead[0]


def test_what_is_refused_stands_in_no_log(services: Services, parts: dict[str, Process]) -> None:
    token = services.token("ann")
    gateway, publisher, registry = (parts[name] for name in ("gateway", "publisher", "registry"))
    assert gateway.ready is not None
    wrong = f"{token[:-4]}AAAA"
    for part, path in (
        (publisher, f"/v1/events/{STREAM}"),
        (publisher, "/v1/users/ann/events"),
        (publisher, "/v1/push"),
        (registry, "/v1/lookup"),
        (registry, "/v1/sessions"),
    ):
        for given in (token, wrong):
            with asking(part, given) as http:
                for content in (CANARY, json.dumps(CANARY), json.dumps({CANARY: CANARY})):
                    for query in ("", f"?token={token}"):
                        told = http.post(path + query, content=content, headers=JSON)
                        assert 400 <= told.status_code < 500, told.text
    with asking(gateway, wrong) as http:
        assert http.get(f"/v1/channels/{STREAM}").status_code == 401
        assert http.get(f"/v1/channels/{STREAM}?token={token}").status_code == 400
    with (
        pytest.raises(websockets.InvalidStatus),
        connect(f"{gateway.ready['ws']}?token={token}", proxy=None),
    ):
        pass
    for said in (CANARY, json.dumps({"v": 1, "type": CANARY}), json.dumps([CANARY])):
        with client_of(gateway, token) as client:
            client.say(said)
            client.until("error")
    with (
        pytest.raises(websockets.ConnectionClosed),
        client_of(gateway, wrong),
    ):
        pass


def test_a_log_tells_where_a_service_listens_and_why_it_stopped(
    services: Services, parts: dict[str, Process]
) -> None:
    services.stop()
    for name in ("gateway", "publisher", "registry", "router"):
        part = parts[name]
        log = part.log()
        assert part.ready is not None
        [begin] = [line for line in log if line["event"] == "listening"]
        addresses = {part.ready[key] for key in ("http", "internal") if key in part.ready}
        assert addresses <= set(begin.values()), name
        assert begin["version"] == __version__, name
        [end] = [line for line in log if line["event"] == "stopped"]
        assert end["reason"] == "SIGTERM", name
