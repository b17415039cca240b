"""JSON Schemas of the protocol's fields, by what the code knows of them."""

from collections.abc import Mapping
from typing import Any, Final

from tidewire.protocol.channels import CHANNEL_PATTERN
from tidewire.protocol.codec import MAX_ID, MAX_INTERVAL_MS, MAX_NAME, MAX_TOKEN
from tidewire.protocol.codes import VERSION, ErrorCode, FeedState, GapReason, Mode, Recovered
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import Gap
from tidewire_client.position import Position as ClientPosition

from .fields import Field, fields_of

__all__ = ["SHARED", "message_schema", "schema_name"]

Schema = dict[str, Any]
_MAX_OFFSET: Final = 2**63 - 1
_PARTITION: Final = "^[0-9]{1,9}$"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _words(kind: Any, description: str = "") -> Schema:
    told = {"description": description} if description else {}
    return {"type": "string", "enum": [word.value for word in kind], **told}


def _limits() -> Schema:
    names = ["frame_bytes", "messages", "window_ms", "subscriptions"]
    return {
        "type": "object",
        "description": "Those that a client can keep to; `messages` are in `window_ms`.",
        "required": names,
        "properties": {name: _ref("number") for name in names},
    }


_TOKEN: Final[Schema] = {"type": "string", "maxLength": MAX_TOKEN, "description": "JWT."}
SHARED: Final[Mapping[str, Schema]] = {
    "number": {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    "token": _TOKEN,
    "channel": {
        "type": "string",
        "pattern": f"^(?!/)(?![^/]*/$){CHANNEL_PATTERN}$",
        "description": "STREAM, STREAM/GROUP (what follows the first slash), or @me. Neither part is empty.",
    },
    "mode": _words(Mode, "Which modes a stream allows is configured."),
    "interval": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTERVAL_MS,
        "description": "Shortest time between two batches, in ms.",
    },
    "recovered": _words(Recovered, "What became of `since`."),
    "gapReason": _words(GapReason),
    "feedState": _words(FeedState),
    "errorCode": _words(ErrorCode),
    "position": {
        "type": "object",
        "description": "Opaque to applications. Per partition the next offset to read.",
        "required": ["epoch", "offsets"],
        "properties": {
            "epoch": {"type": "string"},
            "offsets": {
                "type": "object",
                "propertyNames": {"pattern": _PARTITION},
                "additionalProperties": {"type": "integer", "minimum": 0, "maximum": _MAX_OFFSET},
            },
        },
    },
    "ranges": {
        "type": "object",
        "description": "Per partition the first missing offset and the next that is delivered.",
        "propertyNames": {"pattern": _PARTITION},
        "additionalProperties": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "integer", "minimum": 0, "maximum": _MAX_OFFSET},
        },
    },
    "events": {"type": "array", "items": _ref("event")},
    "event": {
        "type": "object",
        "required": ["key", "ts", "offset"],
        "oneOf": [{"required": ["data"]}, {"required": ["deleted"]}],
        "properties": {
            "key": {"type": "string"},
            "id": {"type": "string", "description": "Of events on @me: the message's own id."},
            "data": {"description": "The producer's JSON, as it was published."},
            "deleted": {"const": True, "description": "The key was removed."},
            "ts": {"type": "integer", "description": "The record's time, ms since 1970."},
            "offset": {
                "type": "array",
                "description": "Partition and offset; of what was pushed to @me the offset is -1.",
                "minItems": 2,
                "maxItems": 2,
                "items": {"type": "integer", "minimum": -1},
            },
        },
    },
    "limits": _limits(),
}
_BY_KIND: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: _ref("number"),
    bool: {"type": "boolean"},
    Mode: _ref("mode"),
    Recovered: _ref("recovered"),
    GapReason: _ref("gapReason"),
    FeedState: _ref("feedState"),
    ErrorCode: _ref("errorCode"),
    Position: _ref("position"),
    ClientPosition: _ref("position"),
    Gap: _ref("ranges"),
}
_NAME: Final[Schema] = {"type": "string", "maxLength": MAX_NAME}
_BY_NAME: Final[Mapping[str, Schema]] = {
    "token": _ref("token"),
    "client": _NAME | {"minLength": 1, "description": "Program and version, `name/version`."},
    "device": _NAME | {"description": "Which of the user's devices."},
    "channel": _ref("channel"),
    "interval_ms": _ref("interval"),
    "events": _ref("events"),
    "limits": _ref("limits"),
    "partitions": {
        "type": "array",
        "description": "Those that are not live.",
        "items": _ref("number"),
    },
    "partial": {"const": True, "description": "Older entities may be missing."},
    "more": {
        "const": True,
        "description": "Further parts follow and count together with this one.",
    },
    "traceparent": {"type": "string", "description": "W3C Trace Context."},
    "url": {"type": "string", "format": "uri"},
    "message": {"type": "string", "description": "For people."},
}
_OF_MESSAGE: Final[Mapping[tuple[str, str], Schema]] = {
    ("refresh", "token"): _TOKEN | {"minLength": 1},
    ("subscribe", "snapshot"): {"type": "boolean", "default": True},
    ("unsubscribed", "code"): {"type": "string", "description": "`requested`, or an error code."},
}
_FURTHER_RULES: Final[Mapping[str, Schema]] = {
    "update_subscription": {"anyOf": [{"required": ["interval_ms"]}, {"required": ["paused"]}]},
}


def schema_name(type_: str) -> str:
    """How documents call the schema and the message of a type."""
    first, *others = type_.split("_")
    return first + "".join(word.capitalize() for word in others)


def message_schema(type_: str) -> Schema:
    """One message: envelope and payload."""
    fields = fields_of(type_)
    payload: Schema = {"type": "object"}
    if required := [field.name for field in fields if field.is_required]:
        payload["required"] = required
    payload |= _FURTHER_RULES.get(type_, {})
    if fields:
        payload["properties"] = {field.name: _schema_of(type_, field) for field in fields}
    return {
        "type": "object",
        "required": ["v", "type", "payload"],
        "properties": {
            "v": {"const": VERSION},
            "type": {"const": type_},
            "id": _ref("number"),
            "payload": payload,
        },
    }


def _schema_of(type_: str, field: Field) -> Schema:
    own = _OF_MESSAGE.get((type_, field.name)) or _BY_NAME.get(field.name)
    if own is not None:
        return own
    assert field.kind in _BY_KIND, f"{type_}.{field.name}: no schema of {field.kind}: add one here"
    return _BY_KIND[field.kind]
