"""Answers that OpenAPI shows: refusals by status, and what operations answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from tidewire.errors import TidewireError
from tidewire.http.bearer import token_missing
from tidewire.http.health import HEALTH_EXAMPLES
from tidewire.http.openapi_completed import Answer
from tidewire.http.problems import Problem
from tidewire.ingest.errors import FieldProblem, InvalidEventsError, NotJsonError
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.targeting.errors import RegistryUnavailableError

from .core.problems import problem_of

__all__ = ["ANSWERS", "PROBLEMS"]

PROBLEMS: Final[Mapping[int, Problem]] = {
    400: problem_of(NotJsonError("unexpected end of data: line 1 column 9")),
    401: token_missing("send `Authorization: Bearer <token>`"),
    403: Problem(
        "forbidden",
        HTTPStatus.FORBIDDEN,
        "The token does not allow this",
        "the token has no right to publish to 'flights': its claim caps needs "
        '{"flights": ["publish"]} or another pattern that covers it',
    ),
    404: Problem(
        "unknown-stream",
        HTTPStatus.NOT_FOUND,
        "There is no such stream",
        "stream 'fligths' is not configured",
    ),
    408: Problem(
        "body-timeout",
        HTTPStatus.REQUEST_TIMEOUT,
        "The body did not arrive",
        "the body was not complete after 10 s: send it faster, or less of it",
    ),
    413: Problem(
        "body-too-large",
        HTTPStatus(413),
        "The body is too large",
        "more than 4194304 bytes: send several smaller requests",
    ),
    415: Problem(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The media type is not taken",
        "Content-Type is text/plain: send UTF-8 JSON as application/json",
    ),
    422: problem_of(InvalidEventsError((FieldProblem("key", "is missing"),))),
    502: problem_of(TidewireError("Kafka refused the event: POLICY_VIOLATION")),
    503: problem_of(BrokerUnavailableError("no Kafka broker answered within 10 s")),
}
_WRITTEN: Final = {"events": [{"topic": "flights", "partition": 3, "offset": 1042}]}
_WRITTEN_TO_USER: Final = {"events": [{"topic": "tidewire.targeted", "partition": 7, "offset": 41}]}
ANSWERS: Final[Mapping[str, Mapping[int, Answer]]] = {
    **HEALTH_EXAMPLES,
    "publish": {200: _WRITTEN},
    "publish_to_user": {200: _WRITTEN_TO_USER},
    "push": {
        200: {
            "id": "7c1f",
            "devices": [{"connection": "c-8f2k", "node": "gateway-0", "outcome": "delivered"}],
        },
        503: problem_of(RegistryUnavailableError("the registry does not answer: ask again later")),
    },
}
