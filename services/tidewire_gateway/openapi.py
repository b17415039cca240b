"""What OpenAPI says of reading a channel once."""

from typing import Any

from tidewire.http.problems import CONTENT_TYPE
from tidewire.protocol.channels import CHANNEL_PATTERN

__all__ = ["CHANNEL_DESCRIPTION", "CHANNEL_PARAMETERS", "CHANNEL_RESPONSES"]

CHANNEL_DESCRIPTION = (
    "The newest event of every entity of the channel, once: what a subscription begins with. To follow the "
    "channel, subscribe over the WebSocket; to look again, send the tag in `If-None-Match`."
)

_TEXT = {"type": "string"}
_POSITION = {
    "type": "object",
    "description": "what this is true at; opaque, `since` of a subscription takes it",
    "required": ["epoch", "offsets"],
    "properties": {
        "epoch": _TEXT,
        "offsets": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
    },
}
_EVENT = {
    "type": "object",
    "required": ["key", "data", "ts", "offset"],
    "properties": {
        "key": _TEXT,
        "data": {"description": "any JSON, as it was published"},
        "ts": {"type": "integer", "description": "Unix milliseconds of its record"},
        "offset": {
            "type": "array",
            "description": "partition and offset",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 2,
            "maxItems": 2,
        },
    },
}
_CHANNEL = {
    "type": "object",
    "required": ["channel", "position", "events"],
    "properties": {
        "channel": _TEXT,
        "position": _POSITION,
        "events": {"type": "array", "description": "in no particular order", "items": _EVENT},
        "partial": {
            "const": True,
            "description": "where the stream is no table: older entities may exist",
        },
    },
}
_EXAMPLE = {
    "channel": "flights/JFK",
    "position": {"epoch": "0", "offsets": {"3": 1043}},
    "events": [
        {
            "key": "JFK/B6-704",
            "data": {"status": "departed"},
            "ts": 1700000000000,
            "offset": [3, 1042],
        }
    ],
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT | {"description": "urn:tidewire:problem:<name>"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
    },
}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_SHARED = {
    "Cache-Control": _header("always `no-cache`: ask again before using a kept answer"),
    "Vary": _header("always `Authorization, Origin`"),
}
_TAGGED = _SHARED | {
    "ETag": _header("names the position"),
    "Tidewire-State": _header("`stale` while Kafka does not answer; absent otherwise"),
    "Tidewire-Stale-Ms": _header("milliseconds since Kafka answered last, while stale", "integer"),
}
_REFUSALS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("This is not the name of a channel; or a token came in the query string", {}),
    401: (
        "The stream is not public, or the token is not good",
        {"WWW-Authenticate": _header("the scheme, and what was wrong with the token")},
    ),
    403: (
        "The token has no right to subscribe to the channel; or the page's origin may not ask",
        {},
    ),
    404: ("There is no such channel", {}),
    503: (
        "The partitions cannot be read now, or the node has enough to do",
        {"Retry-After": _header("seconds", "integer")},
    ),
}

CHANNEL_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "channel",
        "in": "path",
        "required": True,
        "description": "STREAM or STREAM/GROUP; slashes may be sent as they are",
        "schema": {"type": "string", "pattern": f"^{CHANNEL_PATTERN}$"},
        "example": "flights/JFK",
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "tags of answers that are held already, or `*`",
        "schema": _TEXT,
    },
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The channel as this node holds it",
        "headers": _TAGGED,
        "content": {"application/json": {"schema": _CHANNEL, "example": _EXAMPLE}},
    },
    304: {"description": "Nothing has moved since the tagged answer", "headers": _TAGGED},
}
CHANNEL_RESPONSES: dict[int | str, dict[str, Any]] = _ANSWERS | {
    status: {
        "description": text,
        "headers": _SHARED | headers,
        "content": {CONTENT_TYPE: {"schema": _PROBLEM}},
    }
    for status, (text, headers) in _REFUSALS.items()
}
