"""Answers that OpenAPI shows of a node's ports: refusals by status, and what operations answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from tidewire.http.bearer import token_missing
from tidewire.http.openapi_completed import Answer, Guards, complete
from tidewire.http.problems import Problem
from tidewire.ingest.errors import FieldProblem
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError

from .core.one_off_problems import refused, unreadable

__all__ = ["complete_internal", "complete_public"]

_PUBLIC: Final[Mapping[int, Problem]] = {
    400: refused(
        ProtocolError(ErrorCode.BAD_REQUEST, "a channel is STREAM or STREAM/GROUP"), "", None
    ),
    401: token_missing("flights is not public: send `Authorization: Bearer <token>`"),
    403: Problem(
        "forbidden",
        HTTPStatus.FORBIDDEN,
        "The token does not allow this",
        "the token does not allow flights: its claim caps needs the right `subscribe` for the channel",
    ),
    404: refused(
        ProtocolError(ErrorCode.UNKNOWN_CHANNEL, "there is no stream 'fligths'"), "", None
    ),
    503: unreadable("flights", 5),
}
_FOLLOW: Final[Mapping[int, Answer]] = {
    200: {"stream": "flights", "key": "JFK/B6-704", "seconds": 60.0, "followed": 1},
    404: Problem(
        "unknown-stream",
        HTTPStatus.NOT_FOUND,
        "There is no such stream",
        "no stream 'fligths' is configured here; there are flights",
    ),
    409: Problem(
        "too-many-followed",
        HTTPStatus.CONFLICT,
        "As many entities are followed as may be",
        "16 are the most at a time: end one, or wait until one is over",
    ),
    413: Problem("too-large", HTTPStatus(413), "The body is too large", "16384 bytes are the most"),
    415: Problem(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is not JSON",
        "send it as Content-Type: application/json",
    ),
    422: Problem(
        "invalid-request",
        HTTPStatus(422),
        "The request is not as it should be",
        'send {"stream": …, "key": …, "seconds": …}; `errors` say what is wrong',
        errors=(FieldProblem("key", "is missing"),),
    ),
}


def _told(sentence: str) -> dict[str, Any]:
    """As the framework answers."""
    return {"detail": sentence}


_NO_MESSAGES: Final = _told("no messages to users here: set TIDEWIRE_GATEWAY__TARGETED__…")
_TOO_LARGE: Final = _told("1048576 bytes are the most")
_DRAINING: Final = {"status": "draining", "connections": 412, "delay_ms": 5000, "window_ms": 30_000}
_INTERNAL: Final[Mapping[str, Mapping[int, Answer]]] = {
    "healthz": {200: {"status": "ok"}},
    "startupz": {200: {"status": "started"}, 503: {"status": "starting"}},
    "readyz": {200: {"status": "ready"}, 503: {"status": "overloaded"}},
    "begin_drain": {202: _DRAINING, 200: _DRAINING, 503: {"status": "starting"}},
    "disconnect": {200: {"connections": 1}, 404: _told("Not Found"), 503: _NO_MESSAGES},
    "close": {
        200: {"connections": 1},
        413: _TOO_LARGE,
        422: _told("Object missing required field `connections`"),
        503: _NO_MESSAGES,
    },
    "push": {
        200: {"outcomes": {"c-8f2k": "delivered"}},
        409: _told("the node does not hold this epoch"),
        413: _TOO_LARGE,
        422: _told("Object missing required field `user`"),
        503: _NO_MESSAGES,
    },
    "exposition": {200: "tidewire_connections 412.0\n"},
    "follow": _FOLLOW,
    "end": {status: answer for status, answer in _FOLLOW.items() if status != 409},
}


def complete_public(app: FastAPI) -> None:
    complete(app, problems=_PUBLIC)


def complete_internal(app: FastAPI) -> None:
    complete(app, problems={}, answers=_INTERNAL, guards=Guards(key=True, pages=True))
