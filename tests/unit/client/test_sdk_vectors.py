"""The client reads the golden frames and sequences as every other implementation does."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tidewire_client.codec import Received, decode, encode
from tidewire_client.errors import MalformedFrameError
from tidewire_client.messages import (
    Event,
    Gap,
    GapNotice,
    ServerMessage,
    Snapshot,
    Status,
    Subscribed,
    Updates,
)
from tidewire_client.subscription_state import SubscriptionState

VECTORS = Path(__file__).parents[2] / "vectors" / "protocol"


def vectors(name: str) -> list[Any]:
    found = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def wire_event(event: Event) -> dict[str, Any]:
    body = {"deleted": True} if event.deleted else {"data": event.data}
    named = {} if event.id is None else {"id": event.id}
    return {
        "key": event.key,
        **named,
        **body,
        "ts": event.ts,
        "offset": [event.partition, event.offset],
    }


def wire_gap(gap: Gap) -> dict[str, list[int]]:
    return {str(partition): list(bounds) for partition, bounds in gap.ranges.items()}


def payload_of(message: ServerMessage) -> dict[str, Any]:
    """The payload as a server would have written it: absent where it holds the default."""
    optional = {"partial": False, "more": False, "partitions": ()}
    payload = {
        name: value
        for name, value in asdict(message).items()
        if value is not None and not (name in optional and value == optional[name])
    }
    match message:
        case Snapshot() | Updates():
            payload["events"] = [wire_event(event) for event in message.events]
            payload["position"] = message.position.to_wire()
        case Subscribed():
            payload["position"] = message.position.to_wire()
            if message.gap is not None:
                payload["gap"] = wire_gap(message.gap)
        case GapNotice():
            payload["gap"] = wire_gap(message.gap)
            payload["reason"] = message.gap.reason
        case Status() if message.partitions:
            payload["partitions"] = list(message.partitions)
        case _:
            pass
    return payload


TYPES = {"GapNotice": "gap", "ErrorReply": "error"}


def as_vector(received: Received) -> dict[str, Any]:
    name = type(received.message).__name__
    named: dict[str, Any] = {"type": TYPES.get(name, name.lower())}
    if received.id is not None:
        named["id"] = received.id
    return {**named, "payload": payload_of(received.message)}


@pytest.mark.parametrize(
    "vector", vectors("server_frames.json") + vectors("foreign_server_frames.json")
)
def test_server_frame_is_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    if vector.get("fault"):
        with pytest.raises(MalformedFrameError):
            decode(vector["frame"])
        return
    assert [as_vector(received) for received in decode(vector["frame"])] == vector["messages"]


@pytest.mark.parametrize("vector", vectors("client_frames.json"))
def test_requests_of_the_vectors_are_written_so_that_they_read_back(vector: dict[str, Any]) -> None:
    for message in vector.get("messages", []):
        text = encode(message["type"], message.get("id", 0), message["payload"])
        read = json.loads(text)
        present = {name: v for name, v in message["payload"].items() if v is not None}
        assert read == {
            "v": 1,
            "type": message["type"],
            "id": message.get("id", 0),
            "payload": present,
        }


@pytest.mark.parametrize("vector", vectors("sequences.json"))
def test_sequence_leaves_the_client_as_the_vector_says(vector: dict[str, Any]) -> None:
    state = SubscriptionState(snapshot=vector.get("snapshot", True))
    delivered: list[list[int]] = []
    gaps: list[dict[str, Any]] = []
    sub = None
    for frame in vector["frames"]:
        for received in decode(frame):
            message = received.message
            if isinstance(message, Subscribed):
                sub = message.sub
                assert message.mode == vector["mode"]
            elif getattr(message, "sub", None) not in {None, sub}:
                continue
            delivered += take(state, message, gaps)
    expected = vector["expect"]
    assert delivered == expected["delivered"]
    assert {key: event.data for key, event in state.newest.items()} == expected["state"]
    assert (state.position and state.position.to_wire()) == expected["position"]
    assert gaps == expected["gaps"]
    assert state.feed_state == expected["feed_state"]
    assert state.recovered == expected["recovered"]


def take(
    state: SubscriptionState, message: ServerMessage, gaps: list[dict[str, Any]]
) -> list[list[int]]:
    gap, accepted = None, None
    match message:
        case Subscribed():
            gap = state.subscribed(message)
        case Snapshot():
            accepted = state.snapshot(message)
        case Updates():
            accepted = state.updates(message)
        case GapNotice():
            gap = state.gap(message)
        case Status():
            state.status(message)
        case _:
            pass
    if gap is not None:
        gaps.append({"gap": wire_gap(gap), "reason": gap.reason})
    return [] if accepted is None else [[e.partition, e.offset] for e in accepted.events]


def test_every_vector_has_a_name_of_its_own() -> None:
    for path in VECTORS.glob("*.json"):
        names = [vector["name"] for vector in json.loads(path.read_text(encoding="utf-8"))]
        assert len(names) == len(set(names)) > 20, path.name
