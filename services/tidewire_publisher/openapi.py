"""What OpenAPI says of publishing and of pushes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from tidewire.http import openapi
from tidewire.http.openapi import PROBLEM_CONTENT
from tidewire.targeting.messages import MAX_TTL_MS

from .core.push import DeviceOutcome
from .core.requests import CLOUDEVENT, CLOUDEVENTS, JSON

__all__ = [
    "PUBLISH_BODY",
    "PUBLISH_RESPONSES",
    "PUSH_BODY",
    "PUSH_RESPONSES",
    "TOKEN_SECURITY",
    "USER_EVENTS_BODY",
    "USER_EVENTS_RESPONSES",
    "ProblemDetails",
    "Published",
    "Pushed",
]


class Position(BaseModel):
    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class Published(BaseModel):
    """Where each event was written, in the order of the request."""

    events: list[Position]


class PushedDevice(BaseModel):
    connection: str
    node: str
    outcome: DeviceOutcome


class Pushed(BaseModel):
    """What became of a push on each device of the user."""

    id: str
    devices: list[PushedDevice]
    outcome: DeviceOutcome | None = Field(
        default=None, description="`offline` where the user is connected nowhere; absent otherwise"
    )


class ProblemDetails(openapi.ProblemDetails):
    """RFC 9457 problem details."""

    events: list[Position | None] | None = Field(
        default=None,
        description="for a batch that was written in part: positions, null for an event that was not",
    )


_TEXT_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
_EVENT = {
    "type": "object",
    "required": ["key", "data"],
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string", "minLength": 1, "description": "the entity the event is about"},
        "data": {"description": "any JSON, published as it is written; null removes the entity"},
        "headers": _TEXT_MAP | {"description": "further Kafka headers"},
    },
}
_TEXT = {"type": "string", "minLength": 1}
_CLOUDEVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "anyOf": [{"required": ["partitionkey"]}, {"required": ["subject"]}],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "time": {"type": "string", "format": "date-time"},
        "subject": _TEXT | {"description": "the key where there is no partitionkey"},
        "partitionkey": _TEXT | {"description": "the key: the entity the event is about"},
        "datacontenttype": {"const": "application/json"},
        "data": {"description": "any JSON, published as it is written; null removes the entity"},
    },
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
}
_EXAMPLE = {"key": "JFK/B6-704", "data": {"state": "departed", "delay_minutes": 3}}

PUBLISH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"oneOf": [_EVENT, {"type": "array", "minItems": 1, "items": _EVENT}]},
            "examples": {"one": {"value": _EXAMPLE}, "batch": {"value": [_EXAMPLE]}},
        },
        CLOUDEVENT: {"schema": _CLOUDEVENT},
        CLOUDEVENTS: {"schema": {"type": "array", "minItems": 1, "items": _CLOUDEVENT}},
    },
}

_DATA = {"description": "any JSON but null, delivered as it is written"}
_TTL = {"type": "integer", "minimum": 0, "maximum": MAX_TTL_MS}
_ID = {"type": "string", "minLength": 1, "description": "names the event; a fresh one without"}
_USER_EVENT = {
    "type": "object",
    "required": ["data"],
    "additionalProperties": False,
    "properties": {
        "data": _DATA,
        "ttl_ms": _TTL
        | {
            "description": "how long it waits for a user who is away; 0: delivered now or never; "
            "as long as mailboxes keep events without"
        },
        "collapse_key": {
            "type": "string",
            "minLength": 1,
            "description": "of the events that wait with one key only the newest is delivered",
        },
        "id": _ID,
    },
}
_USER_EXAMPLE = {"data": {"gate": "B22"}, "ttl_ms": 3_600_000, "collapse_key": "gate"}

USER_EVENTS_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "oneOf": [_USER_EVENT, {"type": "array", "minItems": 1, "items": _USER_EVENT}]
            },
            "examples": {"one": {"value": _USER_EXAMPLE}, "batch": {"value": [_USER_EXAMPLE]}},
        }
    },
}

PUSH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["user", "data"],
                "additionalProperties": False,
                "properties": {
                    "user": _TEXT,
                    "data": _DATA,
                    "ttl_ms": _TTL | {"description": "no node is called after so long"},
                    "id": _ID,
                },
            },
            "examples": {"one": {"value": {"user": "ann", "data": {"gate": "B22"}}}},
        }
    },
}

_REFUSALS = {
    400: "The body is not JSON; or a token came in the query string",
    401: "A good token is needed",
    403: "The token has no right to publish here",
    404: "There is no such stream",
    408: "The body did not arrive in time",
    413: "The body, the batch or an event is too large",
    415: "The media type is not taken",
    422: "An event cannot be published; `errors` names the fields",
    502: "Kafka refused the event",
    503: "Kafka is away or slow, or the topic is missing; try again after `Retry-After` seconds",
}
_Responses = dict[int | str, dict[str, Any]]


def _responses(refusals: Mapping[int, str]) -> _Responses:
    return {
        status: {"description": text, "content": PROBLEM_CONTENT}
        | (
            {"headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}}
            if status == 503
            else {}
        )
        for status, text in refusals.items()
    }


PUBLISH_RESPONSES = _responses(_REFUSALS)
USER_EVENTS_RESPONSES = _responses({s: text for s, text in _REFUSALS.items() if s != 404})
PUSH_RESPONSES = _responses(
    {s: text for s, text in _REFUSALS.items() if s not in (404, 502)}
    | {503: "The registry is away, or none is configured; or too much is in work"}
)
TOKEN_SECURITY = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
