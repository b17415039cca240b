"""A push: what a node is asked, what it answers, and what the caller is told (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from tidewire.publishing.events import EventLimits, Origin
from tidewire.publishing.user_events import UserEvent, build_user_record, targeted
from tidewire.targeting.registry import Place

__all__ = [
    "Call",
    "Device",
    "DeviceOutcome",
    "Push",
    "answer_of",
    "devices_of",
    "push_of",
    "read_call",
    "request_of",
]

_NO_TOPIC: Final = targeted("push", 1)
_TRACE: Final = ("traceparent", "tracestate")


class DeviceOutcome(StrEnum):
    """``STALE``: the node does not hold the user as the registry says, or cannot tell."""

    DELIVERED = "delivered"
    OFFLINE = "offline"
    STALE = "stale"
    LIMITED = "limited"
    EXPIRED = "expired"


class Call(StrEnum):
    """How the call of a node ended."""

    ANSWERED = "answered"
    STALE = "stale"
    LIMITED = "limited"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


class Device(NamedTuple):
    connection: str
    node: str
    outcome: DeviceOutcome


@dataclass(frozen=True, slots=True)
class Push:
    """One event on its way to a user's devices, without Kafka.

    ``data`` is the caller's JSON, ``ts_ms`` Unix milliseconds. A node is not called any more once ``ttl``
    seconds have passed; None: it has until the call's own deadline.
    """

    user: str
    id: str
    data: bytes
    ts_ms: int
    ttl: float | None
    trace: Mapping[str, str]


class _NodeAnswer(msgspec.Struct):
    outcomes: dict[str, DeviceOutcome]


_decode_answer = msgspec.json.Decoder(_NodeAnswer).decode


def push_of(event: UserEvent, origin: Origin, ts_ms: int, limits: EventLimits) -> Push:
    """Check an event as if it were to be published; raises ``InvalidEventError``."""
    record = build_user_record(event, _NO_TOPIC, origin, limits)
    assert record.value is not None
    headers = dict(record.headers)
    ttl = event.ttl.total_seconds() if isinstance(event.ttl, timedelta) else event.ttl
    return Push(
        user=event.user,
        id=headers["ce_id"].decode(),
        data=record.value,
        ts_ms=ts_ms,
        ttl=ttl or None,  # 0 asks for what every push is: now or never
        trace={name: headers[name].decode() for name in _TRACE if name in headers},
    )


def request_of(push: Push, place: Place) -> bytes:
    """The body for the node at ``place``."""
    return orjson.dumps(
        {
            "user": push.user,
            "id": push.id,
            "data": orjson.Fragment(push.data),
            "epoch": place.epoch,
            "connections": place.connections,
            "ts_ms": push.ts_ms,
        }
    )


def read_call(status: int, body: bytes, place: Place) -> tuple[Call, Sequence[Device]]:
    """What a node's answer says of each connection; one that it leaves out is not there."""
    match status:
        case HTTPStatus.OK:
            try:
                outcomes = _decode_answer(body).outcomes
            except (msgspec.DecodeError, ValueError, RecursionError):
                return Call.REFUSED, devices_of(place, DeviceOutcome.STALE)
            return Call.ANSWERED, [
                Device(c, place.node, outcomes.get(c, DeviceOutcome.OFFLINE))
                for c in place.connections
            ]
        case HTTPStatus.CONFLICT:
            return Call.STALE, devices_of(place, DeviceOutcome.STALE)
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return Call.LIMITED, devices_of(place, DeviceOutcome.LIMITED)
        case _:
            return Call.REFUSED, devices_of(place, DeviceOutcome.STALE)


def devices_of(place: Place, outcome: DeviceOutcome) -> Sequence[Device]:
    """All devices of a place, with one outcome."""
    return [Device(connection, place.node, outcome) for connection in place.connections]


def answer_of(push: Push, devices: Iterable[Device]) -> Mapping[str, Any]:
    """The answer's members; ``outcome`` stands for a user that is nowhere."""
    told = [device._asdict() for device in devices]
    members: dict[str, Any] = {"id": push.id, "devices": told}
    return members if told else members | {"outcome": DeviceOutcome.OFFLINE}
