"""Events and the Kafka records they become: JSON value, CloudEvents attributes as headers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import orjson

from ..config.streams import Stream
from ..kafka.partitioning import partition_of
from ..kafka.records import Header, NewRecord
from ..kafka.settings import MAX_RECORD_BYTES
from ..protocol.trace_context import TRACEPARENT, TRACESTATE, handed_on
from .errors import InvalidEventError

__all__ = ["Destination", "Event", "EventLimits", "Origin", "build_record"]

CONTENT_TYPE = b"application/json"
RESERVED_HEADERS = frozenset({"content-type", TRACEPARENT, TRACESTATE})
ATTRIBUTE_PREFIX = "ce_"
OWN_PREFIX = "tidewire-"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_RFC3339 = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_TIMESTAMP_MS = 253_402_300_799_999  # the end of the year 9999
_HEADER_OVERHEAD = 4
_RECORD_OVERHEAD = 32


@dataclass(frozen=True, slots=True)
class Event:
    """What a caller wants to publish.

    ``data`` None deletes the key; bytes are JSON that is ready and stays as it is; anything else is
    encoded as JSON. ``source``, ``type``, ``id`` and ``time`` None: the publisher's own. ``extensions``
    are further CloudEvents attributes. ``trace`` (`traceparent`, `tracestate`) is what the event's `send` span
    goes on with, or what travels where there is no such span; it counts only where the caller has no
    OpenTelemetry context of its own.
    """

    key: str | None
    data: object
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: datetime | str | None = None
    timestamp_ms: int | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How large an event may be. ``max_event_bytes`` counts key, value and headers together."""

    max_event_bytes: int = MAX_RECORD_BYTES - 16 * 1024
    max_data_bytes: int = MAX_RECORD_BYTES
    max_key_bytes: int = 1024
    max_headers: int = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """What the surroundings add to one event: a fresh id, the time now, the trace context that it travels in."""

    source: str
    event_id: str
    time: str
    trace: Mapping[str, str] = field(default_factory=dict)


def _whole(key: str) -> str:
    return key


@dataclass(frozen=True, slots=True)
class Destination:
    """A topic and how many partitions it really has.

    ``type`` is that of events without one of their own; ``group_of`` the part of a key that chooses the
    partition.
    """

    topic: str
    type: str
    partitions: int
    group_of: Callable[[str], str] = _whole

    @classmethod
    def of_stream(cls, name: str, stream: Stream, partitions: int) -> Self:
        return cls(stream.topic, f"tidewire.{name}", partitions, stream.group_of)


def build_record(
    event: Event,
    to: Destination,
    origin: Origin,
    limits: EventLimits | None = None,
    *,
    delivery: Sequence[Header] = (),
) -> NewRecord:
    """The record of an event, its partition chosen by its group.

    ``delivery`` are Tidewire's headers for whoever delivers it. Raises `InvalidEventError` naming the
    field and the cure.
    """
    limits = limits or EventLimits()
    key, key_bytes = _key(event.key, limits)
    value = _value(event.data, limits)
    own = _own_headers(event.headers, limits)
    headers = (*_attributes(event, to, origin), *delivery, *own)
    size = _size(key_bytes, value, headers)
    if size > limits.max_event_bytes:
        raise InvalidEventError(
            "data",
            f"the event is {size} bytes with key and headers, {limits.max_event_bytes} are allowed: "
            "publish less, or a reference to where the rest lies",
        )
    return NewRecord(
        topic=to.topic,
        partition=partition_of(to.group_of(key).encode(), to.partitions),
        key=key_bytes,
        value=value,
        headers=headers,
        timestamp_ms=_timestamp(event.timestamp_ms),
    )


def rfc3339(when: datetime) -> str:
    """An aware instant as RFC 3339 text, UTC written as ``Z``."""
    return when.isoformat().replace("+00:00", "Z")


def utf8(where: str, text: str, most: int | None = None) -> bytes:
    """Text as bytes, at most ``most``; raises `InvalidEventError` that names ``where``."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise InvalidEventError(
            where, "holds half of a surrogate pair, which is no text: send valid Unicode"
        ) from None
    if most is not None and len(encoded) > most:
        raise InvalidEventError(where, f"is {len(encoded)} bytes, {most} are allowed: shorten it")
    return encoded


def _key(key: object, limits: EventLimits) -> tuple[str, bytes]:
    if key is None or key == "":
        raise InvalidEventError("key", "is missing: name the entity that the event is about")
    if not isinstance(key, str):
        raise InvalidEventError("key", f"is {type(key).__name__}: give text")
    return key, utf8("key", key, limits.max_key_bytes)


def _value(data: object, limits: EventLimits) -> bytes | None:
    value = None if data is None else _json(data)
    if value is not None and len(value) > limits.max_data_bytes:
        raise InvalidEventError(
            "data",
            f"is {len(value)} bytes, {limits.max_data_bytes} are allowed: publish less, "
            "or a reference to where the rest lies",
        )
    return value


def _json(data: object) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        ready = bytes(data)
        try:
            orjson.loads(ready)
        except orjson.JSONDecodeError as error:
            raise InvalidEventError(
                "data", f"is not JSON ({error}): give UTF-8 JSON text, or an object to encode"
            ) from None
        return ready
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError as error:
        raise InvalidEventError(
            "data", f"cannot be written as JSON ({error}): use objects, lists, text, numbers"
        ) from None


def _attributes(event: Event, to: Destination, origin: Origin) -> Iterator[Header]:
    named = {
        "id": origin.event_id if event.id is None else event.id,
        "source": origin.source if event.source is None else event.source,
        "type": to.type if event.type is None else event.type,
    }
    yield "ce_specversion", b"1.0"
    for name, text in named.items():
        yield f"{ATTRIBUTE_PREFIX}{name}", _attribute(name, text)
    yield "ce_time", _time(event.time, origin.time).encode()
    for name, text in event.extensions.items():
        yield f"{ATTRIBUTE_PREFIX}{name}", _attribute(name, text)
    yield "content-type", CONTENT_TYPE
    yield from _trace(origin.trace or event.trace)


def _attribute(name: str, text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise InvalidEventError(name, "must be text and not empty")
    if _CONTROL.search(text):
        raise InvalidEventError(name, "has control characters: leave them out")
    return utf8(name, text)


def _time(given: object, now: str) -> str:
    if given is None:
        return now
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise InvalidEventError("time", "has no time zone: give an aware datetime")
        return rfc3339(given)
    if not isinstance(given, str) or not _RFC3339.fullmatch(given):
        raise InvalidEventError("time", "is not RFC 3339: write it like 2013-01-01T05:17:00Z")
    return given


def _timestamp(given: object) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise InvalidEventError("timestamp_ms", "is not a number: give Unix milliseconds")
    if not 0 <= given <= _MAX_TIMESTAMP_MS:
        raise InvalidEventError("timestamp_ms", "is out of range: give Unix milliseconds")
    return given


def _trace(trace: Mapping[str, str]) -> Iterator[Header]:
    """W3C trace context; one that is malformed is left out, as that standard asks."""
    traceparent = handed_on(trace.get(TRACEPARENT, "").encode(errors="replace"))
    if traceparent is None:
        return
    yield TRACEPARENT, traceparent.encode()
    state = trace.get(TRACESTATE, "")
    if state and state.isascii() and state.isprintable() and len(state) <= 512:
        yield TRACESTATE, state.encode()


def _own_headers(headers: Mapping[str, str | bytes], limits: EventLimits) -> Iterator[Header]:
    if len(headers) > limits.max_headers:
        raise InvalidEventError(
            "headers", f"there are {len(headers)}, {limits.max_headers} are allowed"
        )
    for name, content in headers.items():
        yield name, _own_header(name, content)


def _own_header(name: object, content: object) -> bytes:
    where = f"headers.{name}"
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidEventError(
            where, "is not a header name: 1 to 128 of A-Z a-z 0-9 and !#$%&'*+.^_`|~-"
        )
    lower = name.lower()
    if lower in RESERVED_HEADERS or lower.startswith((ATTRIBUTE_PREFIX, OWN_PREFIX)):
        raise InvalidEventError(
            where,
            "is set by the publisher (CloudEvents attributes, content type, trace context, tidewire-…): "
            "use another name",
        )
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        raise InvalidEventError(where, f"is {_type_name(content)}: give text or bytes")
    return utf8(where, content)


def _type_name(content: Any) -> str:
    return type(content).__name__


def _size(key: bytes, value: bytes | None, headers: tuple[Header, ...]) -> int:
    carried = sum(len(name) + len(content) + _HEADER_OVERHEAD for name, content in headers)
    return len(key) + len(value or b"") + carried + _RECORD_OVERHEAD
