"""Text frames to messages and requests to text frames; pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import MalformedFrameError
from .messages import (
    ErrorReply,
    Event,
    Gap,
    GapNotice,
    Goaway,
    Ping,
    Refreshed,
    ServerMessage,
    Snapshot,
    Status,
    Subscribed,
    Unsubscribed,
    Updates,
    Welcome,
)
from .position import Position

__all__ = ["SUBPROTOCOL", "Received", "decode", "encode"]

SUBPROTOCOL = "tidewire.v1.json"
VERSION = 1

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """One message with the number of the request that it answers, if it answers one."""

    message: ServerMessage
    id: int | None = None


def encode(type_: str, request_id: int, payload: Payload) -> str:
    """One request; fields of ``payload`` that are None are left out."""
    present = {name: value for name, value in payload.items() if value is not None}
    envelope = {"v": VERSION, "type": type_, "id": request_id, "payload": present}
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False)


def decode(frame: str) -> list[Received]:
    """The messages of a frame, those of unknown types left out.

    Raises ``MalformedFrameError`` for a frame that the protocol does not allow.
    """
    try:
        value = json.loads(frame, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedFrameError(f"frame is not JSON: {error}") from None
    items = value if isinstance(value, list) else [value]
    try:
        return [received for item in items if (received := _decode(item)) is not None]
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedFrameError(f"frame breaks the protocol: {error!r}") from error


def _decode(item: object) -> Received | None:
    if not isinstance(item, dict) or item.get("v") != VERSION:
        raise ValueError("a message is an object with v 1")
    reader = _READERS.get(_text(item, "type"))
    if reader is None:
        return None
    payload = item.get("payload", {})
    if not isinstance(payload, dict):
        raise TypeError("payload must be an object")
    return Received(reader(payload), _optional_whole(item, "id"))


def _welcome(payload: Payload) -> Welcome:
    return Welcome(
        connection=_text(payload, "connection"),
        node=_text(payload, "node"),
        ping_interval_ms=_whole(payload, "ping_interval_ms"),
        expires_in_ms=_optional_whole(payload, "expires_in_ms"),
        limits=payload.get("limits", {}),
    )


def _subscribed(payload: Payload) -> Subscribed:
    gap, reason = payload.get("gap"), _optional_text(payload, "reason")
    return Subscribed(
        sub=_whole(payload, "sub"),
        channel=_text(payload, "channel"),
        mode=_text(payload, "mode"),
        interval_ms=_whole(payload, "interval_ms"),
        position=Position.from_wire(payload["position"]),
        recovered=_text(payload, "recovered"),
        gap=None if gap is None else Gap(_ranges(gap), reason),
        reason=reason,
    )


def _snapshot(payload: Payload) -> Snapshot:
    return Snapshot(
        sub=_whole(payload, "sub"),
        position=Position.from_wire(payload["position"]),
        events=_events(payload),
        partial=payload.get("partial") is True,
        more=payload.get("more") is True,
    )


def _updates(payload: Payload) -> Updates:
    traceparent = payload.get("traceparent")
    return Updates(
        sub=_whole(payload, "sub"),
        position=Position.from_wire(payload["position"]),
        events=_events(payload),
        coalesced=_optional_whole(payload, "coalesced") or 0,
        traceparent=traceparent if isinstance(traceparent, str) else None,
    )


def _status(payload: Payload) -> Status:
    return Status(
        state=_text(payload, "state"),
        age_ms=_whole(payload, "age_ms"),
        sub=_optional_whole(payload, "sub"),
        partitions=tuple(payload.get("partitions", ())),
    )


def _gap(payload: Payload) -> GapNotice:
    return GapNotice(_whole(payload, "sub"), Gap(_ranges(payload["gap"]), _text(payload, "reason")))


def _unsubscribed(payload: Payload) -> Unsubscribed:
    return Unsubscribed(
        _whole(payload, "sub"), _text(payload, "code"), str(payload.get("reason", ""))
    )


def _refreshed(payload: Payload) -> Refreshed:
    return Refreshed(_whole(payload, "expires_in_ms"))


def _goaway(payload: Payload) -> Goaway:
    url = payload.get("url")
    return Goaway(
        reason=str(payload.get("reason", "")),
        after_ms=_whole(payload, "after_ms"),
        url=url if isinstance(url, str) else None,
    )


def _error(payload: Payload) -> ErrorReply:
    return ErrorReply(
        code=_text(payload, "code"),
        message=str(payload.get("message", "")),
        retry_after_ms=_optional_whole(payload, "retry_after_ms"),
    )


def _ping(payload: Payload) -> Ping:
    return Ping()


_READERS: Mapping[str, Callable[[Payload], ServerMessage]] = {
    "welcome": _welcome,
    "subscribed": _subscribed,
    "snapshot": _snapshot,
    "updates": _updates,
    "status": _status,
    "gap": _gap,
    "unsubscribed": _unsubscribed,
    "refreshed": _refreshed,
    "goaway": _goaway,
    "error": _error,
    "ping": _ping,
}


def _events(payload: Payload) -> tuple[Event, ...]:
    events = payload["events"]
    if not isinstance(events, list):
        raise TypeError("events must be an array")
    return tuple([_event(event) for event in events])


def _event(value: Payload) -> Event:
    deleted = value.get("deleted") is True
    partition, offset = value["offset"]
    return Event(
        key=_text(value, "key"),
        data=None if deleted else value["data"],
        ts=value["ts"],
        partition=partition,
        offset=offset,
        deleted=deleted,
        id=None if "id" not in value else _text(value, "id"),
    )


def _ranges(value: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    if not isinstance(value, dict):
        raise TypeError("gap must be an object")
    return {int(partition): (first, after) for partition, (first, after) in value.items()}


def _text(payload: Payload, name: str) -> str:
    value = payload[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text")
    return value


def _optional_text(payload: Payload, name: str) -> str | None:
    return None if payload.get(name) is None else _text(payload, name)


def _whole(payload: Payload, name: str) -> int:
    value = payload[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number")
    return value


def _optional_whole(payload: Payload, name: str) -> int | None:
    return None if payload.get(name) is None else _whole(payload, name)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
