"""Turn Kafka records into events, or name why a record cannot be one."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import partial

import msgspec
import orjson

from tidewire.config.streams import Stream
from tidewire.kafka.records import Header, Record
from tidewire.protocol.server_frames import encode_event

from .events import Event

__all__ = ["STRUCTURED", "Decoder", "RejectReason", "Rejected"]

_MAX_DEPTH = 256
"""Clients parse what they are sent: many a JSON parser ends near 1,000 levels."""
_SHORTEST_TOO_DEEP = 2 * (_MAX_DEPTH + 1)
"""Bytes: each level takes a bracket that opens and one that closes."""
STRUCTURED = b"application/cloudevents+json"
"""How the content type of a CloudEvent in structured mode begins."""


class RejectReason(StrEnum):
    """Why a record is counted and skipped; also the metric's label."""

    NO_KEY = "no_key"
    BAD_KEY = "bad_key"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    BAD_HEADERS = "bad_headers"
    NO_ENTITY = "no_entity"
    TOO_DEEP = "too_deep"
    UNDECODABLE = "undecodable"


class Rejected(Exception):  # noqa: N818 - an outcome of one record, never an error of the program
    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason


class _Structured(msgspec.Struct):
    """A CloudEvent in structured mode; ``data`` stays the producer's bytes, and binary data is none."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: None = None


_decode_structured = msgspec.json.Decoder(_Structured).decode


class Decoder:
    """Decodes the records of one stream.

    ``max_event_bytes`` bounds an encoded event, so that each fits into one frame.
    """

    __slots__ = ("_entity_of", "_group_of", "_max_event_bytes", "stream")

    def __init__(self, stream: Stream, max_event_bytes: int) -> None:
        self.stream = stream
        self._max_event_bytes = max_event_bytes
        self._group_of = stream.group_of
        self._entity_of = _entity_rule(stream.entity)

    def decode(self, record: Record) -> Event:
        """The record's event; raises `Rejected` when clients cannot be given it."""
        _, partition, offset, ts_ms, key_bytes, data, headers = record
        key = _key(key_bytes)
        if data is not None and _is_structured(headers):
            data = _data_of_cloudevent(data)
        value = None if data is None else _parsed(data)
        entity = key if self._entity_of is None else self._entity_of(headers, value)
        encoded = encode_event(entity, data, ts_ms, partition, offset)
        if len(encoded) > self._max_event_bytes:
            raise Rejected(RejectReason.TOO_LARGE)
        return Event(entity, self._group_of(key), partition, offset, ts_ms, data is None, encoded)


def _key(key: bytes | None) -> str:
    if key is None:
        raise Rejected(RejectReason.NO_KEY)
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise Rejected(RejectReason.BAD_KEY) from None


def _is_structured(headers: Sequence[Header]) -> bool:
    for name, content in headers:  # a loop: a generator for every record costs more than the look
        if name == "content-type" and content.startswith(STRUCTURED):
            return True
    return False


def _data_of_cloudevent(body: bytes) -> bytes:
    """What a CloudEvent in structured mode carries, as published; raises `Rejected`."""
    try:
        event = _decode_structured(body)
    except RecursionError:
        raise Rejected(RejectReason.TOO_DEEP) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Rejected(RejectReason.NOT_JSON) from None
    return bytes(event.data)


def _parsed(data: bytes) -> object:
    """The value of valid JSON; raises `Rejected`."""
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Rejected(RejectReason.NOT_JSON) from None
    if len(data) >= _SHORTEST_TOO_DEEP and _is_too_deep(data, value):
        raise Rejected(RejectReason.TOO_DEEP)
    return value


def _is_too_deep(data: bytes, value: object) -> bool:
    return data.count(b"[") + data.count(b"{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH


def _depth(value: object) -> int:
    """How deep arrays and objects are nested."""
    depth, level = 0, [value]
    while level := [v for v in level if isinstance(v, dict | list)]:
        depth += 1
        level = [v for holder in level for v in _members(holder)]
    return depth


def _members(holder: object) -> Iterable[object]:
    if isinstance(holder, dict):
        return holder.values()
    return holder if isinstance(holder, list) else ()


_EntityRule = Callable[[Sequence[Header], object], str]
"""From a record's headers and its parsed value (None where it is a removal); raises `Rejected`."""


def _entity_rule(rule: str) -> _EntityRule | None:
    """How a stream's events get their entity; None where it is their key."""
    kind, _, name = rule.partition(":")
    return None if kind == "key" else partial(_ENTITY_RULES[kind], name)


def _entity_of_header(name: str, headers: Sequence[Header], _value: object) -> str:
    for header, content in headers:
        if header == name:
            try:
                return content.decode()
            except UnicodeDecodeError:
                raise Rejected(RejectReason.BAD_HEADERS) from None
    raise Rejected(RejectReason.NO_ENTITY)


def _entity_of_value(name: str, _headers: Sequence[Header], value: object) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Rejected(RejectReason.NO_ENTITY)
    return str(found)


_ENTITY_RULES: dict[str, Callable[[str, Sequence[Header], object], str]] = {
    "header": _entity_of_header,
    "value": _entity_of_value,
}
