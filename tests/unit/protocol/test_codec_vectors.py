"""The server's codec reads and writes exactly the golden frames."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tidewire.protocol import server_frames as out
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.codes import ErrorCode, FeedState, GapReason, Mode, Recovered
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import (
    ClientMessage,
    Hello,
    Refresh,
    Subscribe,
    Unsubscribe,
    UpdateSubscription,
)
from tidewire.protocol.positions import Position

VECTORS = Path(__file__).parents[2] / "vectors" / "protocol"
TYPES = {
    Hello: "hello",
    Subscribe: "subscribe",
    UpdateSubscription: "update_subscription",
    Unsubscribe: "unsubscribe",
    Refresh: "refresh",
}


def load(name: str) -> list[Any]:
    vectors: list[Any] = json.loads((VECTORS / f"{name}.json").read_text())
    assert vectors
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def as_vector(message: ClientMessage) -> dict[str, Any]:
    payload = {f.name: getattr(message, f.name) for f in dataclasses.fields(message)}
    request_id = payload.pop("id")
    if isinstance(payload.get("since"), Position):
        payload["since"] = payload["since"].to_wire()
    seen: dict[str, Any] = {"type": TYPES[type(message)], "payload": payload}
    return seen if request_id is None else {**seen, "id": request_id}


@pytest.mark.parametrize("vector", load("client_frames"))
def test_client_frame_is_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    try:
        decoded = decode_frame(vector["frame"])
    except ProtocolError as fault:
        decoded = [fault]
    messages = [as_vector(m) for m in decoded if not isinstance(m, ProtocolError)]
    faults = [m for m in decoded if isinstance(m, ProtocolError)]
    assert messages == vector.get("messages", [])
    seen = [
        {"code": f.code, **({} if f.request_id is None else {"id": f.request_id})} for f in faults
    ]
    assert seen == ([vector["error"]] if "error" in vector else [])


@pytest.mark.parametrize("vector", load("server_frames"))
def test_server_frame_is_written_byte_for_byte(vector: dict[str, Any]) -> None:
    raw = iter(vector.get("raw_data", []))
    built = [encode(message, raw) for message in vector["messages"]]
    frame = b"[" + b",".join(built) + b"]" if vector["frame"].startswith("[") else built[0]
    assert frame.decode() == vector["frame"]


def encode(message: dict[str, Any], raw: Any) -> bytes:
    encoded: bytes = ENCODERS[message["type"]](message.get("id"), message["payload"], raw)
    return encoded


def position(payload: dict[str, Any]) -> Position:
    return Position.from_wire(payload["position"])


def gap(payload: dict[str, Any]) -> dict[int, tuple[int, int]]:
    return {int(p): (first, after) for p, (first, after) in payload["gap"].items()}


def events(payload: dict[str, Any], raw: Any) -> list[bytes]:
    return [event(e, raw) for e in payload["events"]]


def event(e: dict[str, Any], raw: Any) -> bytes:
    data = None if e.get("deleted") else event_data(e["data"], raw)
    if "id" in e:
        assert data is not None
        return out.encode_message(e["key"], e["id"], data, e["ts"], tuple(e["offset"]))
    return out.encode_event(e["key"], data, e["ts"], *e["offset"])


def event_data(data: Any, raw: Any) -> bytes:
    return next(raw, orjson.dumps(data).decode()).encode()


def subscribed(request_id: Any, p: dict[str, Any], _raw: Any) -> bytes:
    return out.encode_subscribed(
        request_id,
        sub=p["sub"],
        channel=p["channel"],
        mode=Mode(p["mode"]),
        interval_ms=p["interval_ms"],
        position=position(p),
        recovered=Recovered(p["recovered"]),
        gap=gap(p) if "gap" in p else None,
        reason=GapReason(p["reason"]) if "reason" in p else None,
    )


def snapshot(_id: Any, p: dict[str, Any], raw: Any) -> bytes:
    return out.encode_snapshot(
        p["sub"],
        position(p),
        events(p, raw),
        partial=p.get("partial", False),
        more=p.get("more", False),
    )


def updates(_id: Any, p: dict[str, Any], raw: Any) -> bytes:
    return out.encode_updates(
        p["sub"],
        position(p),
        events(p, raw),
        coalesced=p["coalesced"],
        traceparent=p.get("traceparent"),
    )


def error(request_id: Any, p: dict[str, Any], _raw: Any) -> bytes:
    return out.encode_error(
        ProtocolError(
            ErrorCode(p["code"]),
            p["message"],
            request_id=request_id,
            retry_after_ms=p.get("retry_after_ms"),
        )
    )


ENCODERS: dict[str, Any] = {
    "welcome": lambda i, p, _: out.encode_welcome(i, **p),
    "subscribed": subscribed,
    "snapshot": snapshot,
    "updates": updates,
    "status": lambda _i, p, _: out.encode_status(
        p.get("sub"), FeedState(p["state"]), p["age_ms"], p.get("partitions", ())
    ),
    "gap": lambda _i, p, _: out.encode_gap(p["sub"], gap(p), GapReason(p["reason"])),
    "unsubscribed": lambda i, p, _: out.encode_unsubscribed(i, **p),
    "refreshed": lambda i, p, _: out.encode_refreshed(i, **p),
    "goaway": lambda _i, p, _: out.encode_goaway(**p),
    "error": error,
    "ping": lambda *_: out.encode_ping(),
}
