"""Turn Kafka records into events, or name why a record cannot be one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import orjson

from tidewire.config.streams import Stream
from tidewire.kafka.records import Record
from tidewire.protocol.server_frames import encode_event

from .events import Event

__all__ = ["Decoder", "RejectReason", "Rejected"]

_MAX_DEPTH = 256
"""Clients parse what they are sent: many a JSON parser ends near 1,000 levels."""
_STRUCTURED = b"application/cloudevents+json"


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
    """A CloudEvent in structured mode; ``data`` stays the producer's bytes."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: msgspec.Raw | None = None


_decode_structured = msgspec.json.Decoder(_Structured).decode


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes the records of one stream.

    ``max_event_bytes`` bounds an encoded event, so that each fits into one frame.
    """

    stream: Stream
    max_event_bytes: int

    def decode(self, record: Record) -> Event:
        """The record's event; raises `Rejected` when clients cannot be given it."""
        key = _key(record)
        data = _data(record)
        entity = key if self.stream.entity == "key" else self._entity(record, data)
        encoded = encode_event(entity, data, record.timestamp_ms, record.partition, record.offset)
        if len(encoded) > self.max_event_bytes:
            raise Rejected(RejectReason.TOO_LARGE)
        return Event(
            entity,
            self.stream.group_of(key),
            record.partition,
            record.offset,
            record.timestamp_ms,
            data is None,
            encoded,
        )

    def _entity(self, record: Record, data: bytes | None) -> str:
        rule, _, name = self.stream.entity.partition(":")
        return _ENTITY_RULES[rule](record, data, name)


def _key(record: Record) -> str:
    if record.key is None:
        raise Rejected(RejectReason.NO_KEY)
    try:
        return record.key.decode()
    except UnicodeDecodeError:
        raise Rejected(RejectReason.BAD_KEY) from None


def _data(record: Record) -> bytes | None:
    if record.value is None:
        return None
    data = record.value
    if _is_structured(record):
        try:
            event = _decode_structured(data)
        except RecursionError:
            raise Rejected(RejectReason.TOO_DEEP) from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Rejected(RejectReason.NOT_JSON) from None
        if event.data_base64 is not None:
            raise Rejected(RejectReason.NOT_JSON)
        data = bytes(event.data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Rejected(RejectReason.NOT_JSON) from None
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        raise Rejected(RejectReason.TOO_DEEP)
    return data


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


def _is_structured(record: Record) -> bool:
    return any(
        name == "content-type" and value.startswith(_STRUCTURED) for name, value in record.headers
    )


def _entity_of_header(record: Record, _data: bytes | None, name: str) -> str:
    for header, value in record.headers:
        if header == name:
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise Rejected(RejectReason.BAD_HEADERS) from None
    raise Rejected(RejectReason.NO_ENTITY)


def _entity_of_value(_record: Record, data: bytes | None, name: str) -> str:
    value = None if data is None else orjson.loads(data)
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise Rejected(RejectReason.NO_ENTITY)
    return str(found)


_ENTITY_RULES: dict[str, Callable[[Record, bytes | None, str], str]] = {
    "header": _entity_of_header,
    "value": _entity_of_value,
}
