"""Read client frames: one JSON object or an array of them, each a typed message or a fault."""

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import orjson

from .channels import parse_channel
from .codes import VERSION, ErrorCode, Mode
from .errors import ProtocolError
from .frames import ClientMessage, Hello, Refresh, Subscribe, Unsubscribe, UpdateSubscription
from .positions import Position

__all__ = ["decode_frame"]

MAX_ID = 2**53 - 1
MAX_INTERVAL_MS = 3_600_000
MAX_NAME = 255
MAX_TOKEN = 16_384

_KEPT_TYPES = frozenset({"publish", "ack"})
_KEPT_FIELDS = ("filter", "fields", "delta")
_KEPT_MODES = frozenset({"merge"})

Payload = Mapping[str, Any]


def decode_frame(data: bytes | str) -> list[ClientMessage | ProtocolError]:
    """The messages of one text frame, in order; a faulty message stands there as its error.

    Raises ``ProtocolError`` (``bad_request``) when the frame as a whole is not JSON or not an object
    or array of objects.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"frame is not JSON: {error}") from None
    if isinstance(value, dict):
        return [_decode_or_fault(value)]
    if isinstance(value, list) and value:
        return [_decode_or_fault(item) for item in value]
    raise ProtocolError(ErrorCode.BAD_REQUEST, "a frame is a JSON object or an array of objects")


def _decode_or_fault(item: object) -> ClientMessage | ProtocolError:
    try:
        return _decode(item)
    except ProtocolError as fault:
        if fault.request_id is None and isinstance(item, dict):
            fault.request_id = _readable_id(item)
        return fault


def _decode(item: object) -> ClientMessage:
    if not isinstance(item, dict):
        raise _bad("a message is a JSON object")
    version = item.get("v")
    if version is None:
        raise _bad('"v", the protocol version, is missing')
    if not _is_whole(version) or version != VERSION:
        raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"this node speaks version {VERSION}")
    kind = item.get("type")
    if not isinstance(kind, str):
        raise _bad('"type" must be text')
    decoder = _DECODERS.get(kind)
    if decoder is None:
        if kind in _KEPT_TYPES:
            raise ProtocolError(ErrorCode.UNSUPPORTED, f"{kind} is kept for a later version")
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, "there is no message of this type")
    payload = item.get("payload", {})
    if not isinstance(payload, dict):
        raise _bad('"payload" must be an object')
    return decoder(_request_id(item), payload)


def _request_id(item: Payload) -> int | None:
    value = item.get("id")
    if value is None:
        return None
    if _is_whole(value) and 0 <= value <= MAX_ID:
        return value
    raise _bad(f'"id" must be a whole number from 0 to {MAX_ID}')


def _readable_id(item: Payload) -> int | None:
    value = item.get("id")
    return value if _is_whole(value) and 0 <= value <= MAX_ID else None


def _hello(request_id: int | None, payload: Payload) -> Hello:
    return Hello(
        request_id,
        token=_text(payload, "token", MAX_TOKEN),
        client=_required_text(payload, "client", MAX_NAME),
        device=_text(payload, "device", MAX_NAME),
    )


def _subscribe(request_id: int | None, payload: Payload) -> Subscribe:
    channel = payload.get("channel")
    if not isinstance(channel, str):
        raise _bad('"channel" must be text')
    parse_channel(channel)  # which says how long it may be
    _refuse_kept_fields(payload)
    since = payload.get("since")
    return Subscribe(
        request_id,
        channel=channel,
        mode=_mode(payload.get("mode")),
        interval_ms=_interval(payload),
        snapshot=_flag(payload, "snapshot", default=True),
        since=None if since is None else Position.from_wire(since),
    )


def _update_subscription(request_id: int | None, payload: Payload) -> UpdateSubscription:
    _refuse_kept_fields(payload)
    paused = payload.get("paused")
    if paused is not None and not isinstance(paused, bool):
        raise _bad('"paused" must be true or false')
    interval_ms = _interval(payload)
    if paused is None and interval_ms is None:
        raise _bad('update_subscription needs "interval_ms" or "paused"')
    return UpdateSubscription(request_id, _sub(payload), interval_ms, paused)


def _unsubscribe(request_id: int | None, payload: Payload) -> Unsubscribe:
    return Unsubscribe(request_id, _sub(payload))


def _refresh(request_id: int | None, payload: Payload) -> Refresh:
    return Refresh(request_id, _required_text(payload, "token", MAX_TOKEN))


_DECODERS: Mapping[str, Callable[[int | None, Payload], ClientMessage]] = {
    "hello": _hello,
    "subscribe": _subscribe,
    "update_subscription": _update_subscription,
    "unsubscribe": _unsubscribe,
    "refresh": _refresh,
}


def _refuse_kept_fields(payload: Payload) -> None:
    for name in _KEPT_FIELDS:
        if name in payload:
            raise ProtocolError(ErrorCode.UNSUPPORTED, f'"{name}" is kept for a later version')


def _mode(value: object) -> Mode | None:
    if value is None:
        return None
    if isinstance(value, str):
        if value in _KEPT_MODES:
            raise ProtocolError(ErrorCode.UNSUPPORTED, f"mode {value} is kept for a later version")
        try:
            return Mode(value)
        except ValueError:
            pass
    raise _bad(f'"mode" must be one of {", ".join(Mode)}')


def _interval(payload: Payload) -> int | None:
    value = payload.get("interval_ms")
    if value is None:
        return None
    if _is_whole(value) and 0 <= value <= MAX_INTERVAL_MS:
        return value
    raise _bad(f'"interval_ms" must be a whole number from 0 to {MAX_INTERVAL_MS}')


def _sub(payload: Payload) -> int:
    value = payload.get("sub")
    if _is_whole(value) and 0 <= value <= MAX_ID:
        return value
    raise _bad('"sub" must be the number that `subscribed` gave')


def _flag(payload: Payload, name: str, *, default: bool) -> bool:
    value = payload.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise _bad(f'"{name}" must be true or false')


def _required_text(payload: Payload, name: str, limit: int) -> str:
    value = _text(payload, name, limit)
    if not value:
        raise _bad(f'"{name}" is missing or empty')
    return value


def _text(payload: Payload, name: str, limit: int) -> str | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _bad(f'"{name}" must be text')
    if len(value) > limit:
        raise _bad(f'"{name}" is longer than {limit} characters')
    return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.BAD_REQUEST, message)
