"""Build server messages: the bytes of one envelope each, events embedded as they were published."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from .codes import VERSION, ErrorCode, FeedState, GapReason, Mode, Recovered
from .errors import ProtocolError
from .positions import Position

__all__ = [
    "Gap",
    "encode_error",
    "encode_event",
    "encode_gap",
    "encode_goaway",
    "encode_message",
    "encode_ping",
    "encode_refreshed",
    "encode_snapshot",
    "encode_status",
    "encode_subscribed",
    "encode_unsubscribed",
    "encode_updates",
    "encode_welcome",
]

_EVENT = b'{"key":%b,"data":%b,"ts":%d,"offset":[%d,%d]}'
_MESSAGE = b'{"key":%b,"id":%b,"data":%b,"ts":%d,"offset":[%d,%d]}'
_REMOVAL = b'{"key":%b,"deleted":true,"ts":%d,"offset":[%d,%d]}'
_UPDATES = (
    b'{"v":1,"type":"updates","payload":{"sub":%d,"position":%b,"events":[%b],"coalesced":%d%b}}'
)

Gap = Mapping[int, tuple[int, int]]
"""Per partition: first missing offset, next delivered offset."""


def encode_event(key: str, data: bytes | None, ts_ms: int, partition: int, offset: int) -> bytes:
    """One event; ``data`` is valid JSON as published, None for a removed key."""
    if data is None:
        return _REMOVAL % (orjson.dumps(key), ts_ms, partition, offset)
    return _EVENT % (orjson.dumps(key), data, ts_ms, partition, offset)


def encode_message(
    key: str, identity: str, data: bytes, ts_ms: int, place: tuple[int, int]
) -> bytes:
    """One event of `@me`, which has an id of its own; ``place`` is partition and offset."""
    return _MESSAGE % (orjson.dumps(key), orjson.dumps(identity), data, ts_ms, *place)


def encode_updates(
    sub: int,
    position: Position,
    events: Sequence[bytes],
    *,
    coalesced: int,
    traceparent: str | None = None,
) -> bytes:
    """``events`` are encoded ones; ``position`` holds only the partitions that moved."""
    return _UPDATES % (
        sub,
        orjson.dumps(position.to_wire()),
        b",".join(events),
        coalesced,
        b"" if traceparent is None else b',"traceparent":' + orjson.dumps(traceparent),
    )


def encode_snapshot(
    sub: int, position: Position, events: Sequence[bytes], *, partial: bool, more: bool
) -> bytes:
    """One part of a snapshot; ``partial``: only what the node holds; ``more``: further parts follow."""
    return b'{"v":1,"type":"snapshot","payload":{"sub":%d,"position":%b,"events":[%b]%b%b}}' % (
        sub,
        orjson.dumps(position.to_wire()),
        b",".join(events),
        b',"partial":true' if partial else b"",
        b',"more":true' if more else b"",
    )


def encode_welcome(request_id: int | None, **payload: Any) -> bytes:
    """``payload``: connection, node, ping_interval_ms, expires_in_ms?, limits."""
    return _encode("welcome", payload, request_id)


def encode_subscribed(
    request_id: int | None,
    *,
    sub: int,
    channel: str,
    mode: Mode,
    interval_ms: int,
    position: Position,
    recovered: Recovered,
    gap: Gap | None = None,
    reason: GapReason | None = None,
) -> bytes:
    """``reason`` tells why ``gap`` is missing, or why a table replaced what was asked for."""
    payload: dict[str, Any] = {
        "sub": sub,
        "channel": channel,
        "mode": mode,
        "interval_ms": interval_ms,
        "position": position.to_wire(),
        "recovered": recovered,
    }
    if gap:
        payload["gap"] = _gap_to_wire(gap)
    if reason is not None:
        payload["reason"] = reason
    return _encode("subscribed", payload, request_id)


def encode_status(
    sub: int | None, state: FeedState, age_ms: int, partitions: Sequence[int] = ()
) -> bytes:
    """``partitions`` names those that are not live, where the node knows them."""
    payload: dict[str, Any] = {} if sub is None else {"sub": sub}
    payload |= {"state": state, "age_ms": age_ms}
    if partitions:
        payload["partitions"] = partitions
    return _encode("status", payload)


def encode_gap(sub: int, gap: Gap, reason: GapReason) -> bytes:
    return _encode("gap", {"sub": sub, "gap": _gap_to_wire(gap), "reason": reason})


def encode_unsubscribed(request_id: int | None, *, sub: int, code: str, reason: str) -> bytes:
    return _encode("unsubscribed", {"sub": sub, "code": code, "reason": reason}, request_id)


def encode_refreshed(request_id: int | None, expires_in_ms: int) -> bytes:
    return _encode("refreshed", {"expires_in_ms": expires_in_ms}, request_id)


def encode_goaway(reason: str, after_ms: int, url: str | None = None) -> bytes:
    payload: dict[str, Any] = {"reason": reason, "after_ms": after_ms}
    if url is not None:
        payload["url"] = url
    return _encode("goaway", payload)


def encode_error(fault: ProtocolError) -> bytes:
    payload: dict[str, Any] = {"code": ErrorCode(fault.code), "message": fault.message}
    if fault.retry_after_ms is not None:
        payload["retry_after_ms"] = fault.retry_after_ms
    return _encode("error", payload, fault.request_id)


def encode_ping() -> bytes:
    return _encode("ping", {})


def _encode(kind: str, payload: Mapping[str, Any], request_id: int | None = None) -> bytes:
    envelope: dict[str, Any] = {"v": VERSION, "type": kind}
    if request_id is not None:
        envelope["id"] = request_id
    envelope["payload"] = payload
    return orjson.dumps(envelope)


def _gap_to_wire(gap: Gap) -> dict[str, tuple[int, int]]:
    return {str(partition): bounds for partition, bounds in gap.items()}
