"""CloudEvents 1.0 in structured mode (``application/cloudevents+json``), read into an `Event`."""

import re
from collections.abc import Mapping
from typing import Any

from .errors import InvalidEventError
from .events import Event

__all__ = ["STRUCTURED_CONTENT_TYPE", "from_structured"]

STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
_CONTEXT = frozenset(
    {"specversion", "id", "source", "type", "time", "datacontenttype", "data", "data_base64"}
)
_TRACE = ("traceparent", "tracestate")
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,128}")
_JSON_TYPE = re.compile(
    r"(application/json|[\w.+-]+/[\w.+-]+\+json|text/json)(\s*;.*)?", re.IGNORECASE
)


def from_structured(envelope: Any) -> Event:
    """Read one structured CloudEvent.

    The Kafka key is its `partitionkey`, else its `subject`, else None (which `build_record` refuses).
    No `data`, or null, deletes the key. Extensions travel as `ce_<name>` headers; the distributed-tracing
    extension becomes the event's trace. Raises `InvalidEventError` naming the attribute.
    """
    if not isinstance(envelope, Mapping):
        raise InvalidEventError("event", "is not a JSON object: send a CloudEvents envelope")
    if envelope.get("specversion") != "1.0":
        raise InvalidEventError("specversion", 'is not "1.0": only CloudEvents 1.0 is understood')
    if "data_base64" in envelope:
        raise InvalidEventError("data_base64", "is not taken: send JSON in `data`")
    content_type = envelope.get("datacontenttype", "application/json")
    if not isinstance(content_type, str) or not _JSON_TYPE.fullmatch(content_type):
        raise InvalidEventError("datacontenttype", "is not JSON: send application/json")
    return Event(
        key=_optional(envelope, "partitionkey") or _optional(envelope, "subject"),
        data=envelope.get("data"),
        id=_required(envelope, "id"),
        source=_required(envelope, "source"),
        type=_required(envelope, "type"),
        time=_optional(envelope, "time"),
        extensions=_extensions(envelope),
        trace={name: text for name in _TRACE if (text := _optional(envelope, name))},
    )


def _required(envelope: Mapping[Any, Any], name: str) -> str:
    text = _optional(envelope, name)
    if not text:
        raise InvalidEventError(name, "is missing: CloudEvents require it")
    return text


def _optional(envelope: Mapping[Any, Any], name: str) -> str | None:
    content = envelope.get(name)
    if content is None:
        return None
    if not isinstance(content, str):
        raise InvalidEventError(name, f"is {type(content).__name__}: give text")
    return content


def _extensions(envelope: Mapping[Any, Any]) -> dict[str, str]:
    """Every further attribute that has a value, in CloudEvents' canonical text form."""
    extensions: dict[str, str] = {}
    for name, content in envelope.items():
        if name in _CONTEXT or name in _TRACE or name == "partitionkey" or content is None:
            continue
        if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidEventError(str(name), "is no attribute name: 1 to 128 of a-z 0-9")
        extensions[name] = _text(name, content)
    return extensions


def _text(name: str, content: object) -> str:
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, int):
        return str(content)
    if isinstance(content, str):
        return content
    raise InvalidEventError(name, f"is {type(content).__name__}: give text, a number or a boolean")
