"""JSON text to events; every ``data`` stays the very bytes that the producer wrote (pure).

An event is ``{"key": text, "data": any JSON, "headers"?: {name: text}}``. In every form ``data: null``
removes the entity, and ``data`` that is missing is refused, so that nothing is removed by accident.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import orjson

from ..config.explain import did_you_mean
from ..publishing.cloudevents import from_structured
from ..publishing.errors import InvalidEventError
from ..publishing.events import Event
from ..publishing.user_events import UserEvent
from .errors import FieldProblem, InvalidEventsError, NotJsonError, TooManyEventsError

__all__ = [
    "fields_of",
    "parse_batch",
    "parse_cloudevent",
    "parse_event",
    "read_data",
    "scalar",
    "unknown_fields",
]

E = TypeVar("E", Event, UserEvent)

_FIELDS = ("key", "data", "headers")
_NO_DATA = "is missing: send it, or null to remove the entity"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def parse_event(text: bytes | memoryview) -> Event:
    """One event of Tidewire's own form.

    Raises ``NotJsonError``, or ``InvalidEventsError`` with every field at fault.
    """
    fields = fields_of(text)
    problems = unknown_fields(fields, _FIELDS)
    key = scalar(fields.get("key"))
    if key is None or key == "":
        problems.append(FieldProblem("key", "is missing: name the entity that the event is about"))
    elif not isinstance(key, str):
        problems.append(FieldProblem("key", "must be text"))
    if "data" not in fields:
        problems.append(FieldProblem("data", _NO_DATA))
    headers, header_problems = _headers(scalar(fields.get("headers")))
    problems += header_problems
    if problems:
        raise InvalidEventsError(tuple(problems))
    return Event(key=str(key), data=read_data(bytes(fields["data"])), headers=headers)


def parse_cloudevent(text: bytes | memoryview) -> Event:
    """One CloudEvent 1.0 in structured mode; raises like ``parse_event``."""
    fields = fields_of(text)
    if "data" not in fields and "data_base64" not in fields:
        raise InvalidEventsError((FieldProblem("data", _NO_DATA),))
    attributes: dict[str, Any] = {n: scalar(raw) for n, raw in fields.items() if n != "data"}
    return cloudevent_of(attributes, bytes(fields.get("data", b"null")))


def cloudevent_of(attributes: Mapping[str, Any], data: bytes) -> Event:
    """The event of CloudEvents context attributes and JSON ``data``."""
    try:
        return from_structured({**attributes, "data": read_data(data)})
    except InvalidEventError as e:
        raise InvalidEventsError((FieldProblem(e.field, e.message),)) from None


def parse_batch(
    text: bytes, parse: Callable[[bytes | memoryview], E], *, max_events: int
) -> tuple[E, ...]:
    """A JSON array of events, each read by ``parse``; raises with the problems of all of them."""
    try:
        items = _decode_items(text)
    except msgspec.ValidationError:
        raise InvalidEventsError((FieldProblem("", "must be a JSON array of events"),)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as e:
        raise _not_json(text, e) from None
    if len(items) > max_events:
        raise TooManyEventsError(
            f"{len(items)} events in one batch, {max_events} are allowed: send several batches"
        )
    if not items:
        raise InvalidEventsError((FieldProblem("", "the batch is empty: send at least one event"),))
    events: list[E] = []
    problems: list[FieldProblem] = []
    for index, item in enumerate(items):
        try:
            events.append(parse(memoryview(item)))
        except InvalidEventsError as e:
            problems += [problem.inside(f"[{index}]") for problem in e.problems]
    if problems:
        raise InvalidEventsError(tuple(problems))
    return tuple(events)


def read_data(raw: bytes) -> bytes | None:
    """What is published for the JSON text ``raw``: None, a removal, for ``null``."""
    return None if raw.strip() == b"null" else raw


def fields_of(text: bytes | memoryview) -> dict[str, msgspec.Raw]:
    """The fields of a JSON object, none of them read yet; raises like `parse_event`."""
    try:
        return _decode_fields(text)
    except msgspec.ValidationError:
        raise InvalidEventsError((FieldProblem("", "must be a JSON object"),)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as e:
        raise _not_json(bytes(text), e) from None


def unknown_fields(fields: Mapping[str, msgspec.Raw], known: Sequence[str]) -> list[FieldProblem]:
    return [
        FieldProblem(name, f"unknown field; {did_you_mean(name, known)}")
        for name in fields
        if name not in known
    ]


def scalar(raw: msgspec.Raw | None) -> Any:
    """The value of a field that is not carried as it is; text that is no JSON is told by its field."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as e:
        raise _not_json(bytes(raw), e) from None


def _headers(value: Any) -> tuple[dict[str, str], list[FieldProblem]]:
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [FieldProblem("headers", 'must be an object, such as {"tenant": "a"}')]
    problems = [
        FieldProblem(f"headers.{name}", "must be text")
        for name, content in value.items()
        if not isinstance(content, str)
    ]
    return value, problems


def _not_json(text: bytes, error: Exception) -> NotJsonError:
    """Says where, in lines and columns where possible."""
    if not text.strip():
        return NotJsonError("there is no JSON: the text is empty")
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as found:
        return NotJsonError(f"not JSON: {found}")
    except RecursionError:
        pass
    return NotJsonError(f"not JSON: {error}")
