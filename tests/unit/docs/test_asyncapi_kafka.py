"""What the AsyncAPI document says of records holds for those that the code writes."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.kafka.records import Header, NewRecord, Record, RecordPosition
from tidewire.protocol.trace_context import traceparent
from tidewire.publishing import Event, UserEvent
from tidewire.publishing.events import Destination, Origin, build_record
from tidewire.publishing.user_events import build_user_record, targeted
from tidewire.revocation.records import Kind, Revocation, Subject, revocation_record
from tidewire.system.records import Observation, Process, State, Vitals, system_record
from tidewire.system.streams import system_streams
from tidewire.targeting.messages import Letter, inbox_record
from tidewire.telemetry.metrics import create_metrics
from tidewire.topics import revocations_topic, targeted_topics
from tidewire.topics.plan import spec_of
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.traces import EventTraces
from tidewire_router.core.dead_letters import dead_letter_record, undecodable, without_value
from tidewire_router.core.intake import DeadLetter, sort_records
from unit.docs.schemas import Json, spoilt, validator_of

ROOT = Path(__file__).parents[3]
DOCUMENT: Json = yaml.safe_load(
    (ROOT / "docs" / "api" / "asyncapi-kafka.yaml").read_text(encoding="utf-8")
)
MESSAGES: Json = DOCUMENT["components"]["messages"]
TRACE = {"traceparent": traceparent(0xABC, 0xDEF), "tracestate": "a=b"}
ORIGIN = Origin("/test", "id-1", "2026-01-01T00:00:00Z", TRACE)


def events() -> Iterator[NewRecord]:
    to = Destination.of_stream("flights", Stream(topic="flights"), 3)
    yield build_record(Event("k", {"a": 1}, {"tenant": "x"}, extensions={"seq": "1"}), to, ORIGIN)
    yield build_record(Event("k", None), to, Origin("/test", "id-1", "2026-01-01T00:00:00Z"))


def user_events() -> Iterator[NewRecord]:
    to = targeted("tidewire.targeted", 12)
    yield build_user_record(UserEvent("ann", 1), to, ORIGIN)
    yield build_user_record(UserEvent("ann", [], ttl=60, collapse_key="g", id="m"), to, ORIGIN)


def letters() -> Iterator[NewRecord]:
    bare = Letter("ann", "m1", b"1", 1, 2, 7, 41, None)
    yield inbox_record(bare, "tidewire.inbox", 0, "epoch")
    full = bare._replace(prev=40, is_kept=False, collapse_key="g", traceparent=TRACE["traceparent"])
    yield inbox_record(full, "tidewire.inbox", 0, "epoch")


def dead_letters() -> Iterator[NewRecord]:
    nobody = Record("tidewire.targeted", 3, 17, 5, None, b"1", (("own", b"x"),))
    found: list[DeadLetter] = sort_records([nobody], now_ms=6, ttl_ms=10).dead_letters
    [letter] = found
    yield dead_letter_record(letter, "tidewire.targeted.dlq")
    yield without_value(dead_letter_record(letter, "tidewire.targeted.dlq"))
    place = RecordPosition("tidewire.targeted", 3, 18)
    yield dead_letter_record(undecodable(place), "tidewire.targeted.dlq")


def revocations() -> Iterator[NewRecord]:
    for kind in Kind:
        subject = Subject(kind, "some/name")
        yield revocation_record("tidewire.revocations", subject, Revocation(1.5, 2, "lost"))
        yield revocation_record("tidewire.revocations", subject, None)


def processes() -> Iterator[NewRecord]:
    alarm = {"name": "lag", "severity": "warning", "text": "late", "since_ms": 3}
    for state in State:
        told = system_record(
            Process("gateway", "node-1", "http://127.0.0.1:1", 1),
            Observation(state, {"users": 1}),
            Vitals(0.5, 1, 0.001),
            alarms=[alarm],
            at_ms=5,
            every_ms=2000,
        )
        yield NewRecord("tidewire.system", 0, b"gateway/node-1", json.dumps(told).encode())


def flows() -> Iterator[NewRecord]:
    """By a node that delivers a sampled event."""
    told: list[Json] = []
    log = VirtualLog("prices", 1)
    traces = EventTraces(
        spans=None,
        flows=told.append,
        most_per_second=10,
        node="node-1",
        instruments=Instruments(create_metrics("gateway")),
        wall_ns=lambda: 1_700_000_000_000_000_000,
    )
    node = VirtualNode(log, Stream(topic="prices", table=True, public=True), traces=traces)
    VirtualClient(node, SubscriptionState(), "s").subscribe(interval_ms=250)
    node.timers.settle()
    log.publish(0, "k", b"1", [("traceparent", traceparent(1, 2).encode())])
    node.read_all()
    node.timers.advance(1.0)
    for flow in told:
        yield NewRecord("tidewire.flows", 0, flow["trace"].encode(), json.dumps(flow).encode())


WRITTEN = {
    "record": events,
    "userEvent": user_events,
    "letter": letters,
    "deadLetter": dead_letters,
    "revocation": revocations,
    "process": processes,
    "flow": flows,
}


def headers_of(headers: Sequence[Header]) -> Json:
    return {name: content.decode() for name, content in headers}


def value_of(record: NewRecord) -> Any:
    return None if not record.value else json.loads(record.value)


def test_every_kind_of_record_is_written_here() -> None:
    assert set(MESSAGES) == set(WRITTEN)


@pytest.mark.parametrize("name", WRITTEN)
def test_records_that_the_code_writes_are_as_the_document_says(name: str) -> None:
    message, count = MESSAGES[name], 0
    value = validator_of(DOCUMENT, message["payload"]["$ref"])
    key = validator_of(DOCUMENT | {"components": MESSAGES[name]}, "#/components/bindings/kafka/key")
    for record in WRITTEN[name]():
        assert value.is_valid(value_of(record)), record
        if record.key is not None:
            assert key.is_valid(record.key.decode()), record.key
        if "headers" in message:
            validator_of(DOCUMENT, message["headers"]["$ref"]).validate(headers_of(record.headers))
        count += 1
    assert count


@pytest.mark.parametrize("name", [name for name in WRITTEN if "headers" in MESSAGES[name]])
def test_records_whose_headers_are_spoilt_are_not(name: str) -> None:
    reference = MESSAGES[name]["headers"]["$ref"]
    headers = validator_of(DOCUMENT, reference)
    required = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["required"]
    record = next(iter(WRITTEN[name]()))
    for header in required:
        for changed in spoilt(headers_of(record.headers), (header,)):
            assert not headers.is_valid(changed), changed


@pytest.mark.parametrize("name", ["process", "flow"])
def test_values_that_are_spoilt_are_not(name: str) -> None:
    value = validator_of(DOCUMENT, MESSAGES[name]["payload"]["$ref"])
    told = value_of(next(iter(WRITTEN[name]())))
    for field in told:
        absent, *others = spoilt(told, (field,))
        assert not value.is_valid(absent), field
        wrong = [
            other
            for other in others
            if not isinstance(told[field], float | int) or other[field] != 1.5
        ]
        assert not any(value.is_valid(other) for other in wrong), field


@pytest.mark.parametrize(
    "example",
    re.findall(
        r"```json\n(\{\n.+?\n\})\n```",
        (ROOT / "docs" / "observability.md").read_text("utf-8"),
        re.DOTALL,
    ),
)
def test_records_in_the_words_of_the_documentation_fit(example: str) -> None:
    told = json.loads(example)
    name = "process" if "service" in told else "flow"
    validator_of(DOCUMENT, MESSAGES[name]["payload"]["$ref"]).validate(told)


@pytest.mark.parametrize("name", WRITTEN)
def test_examples_fit(name: str) -> None:
    message = MESSAGES[name]
    for example in message["examples"]:
        validator_of(DOCUMENT, message["payload"]["$ref"]).validate(example["payload"])
        if "headers" in message:
            validator_of(DOCUMENT, message["headers"]["$ref"]).validate(example["headers"])


def test_every_topic_of_tidewire_is_a_channel_and_is_described_as_it_is_made() -> None:
    own = revocations_topic() | targeted_topics() | system_streams()
    by_address = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert set(by_address) == {stream.topic for stream in own.values()} | {"{topic}"}
    for stream in own.values():
        binding = by_address[stream.topic]["bindings"]["kafka"]
        spec = spec_of(stream)
        assert binding["partitions"] == spec.partitions
        policy = binding["topicConfiguration"].pop("cleanup.policy")
        assert ",".join(policy) == spec.config["cleanup.policy"]
        told = {name: str(value) for name, value in binding["topicConfiguration"].items()}
        assert told == {k: v for k, v in spec.config.items() if k != "cleanup.policy"}
