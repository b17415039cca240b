"""Which problem tells a caller of which error (pure)."""

from dataclasses import dataclass
from http import HTTPStatus

from tidewire.errors import TidewireError
from tidewire.http.problems import CONTENT_TYPE, Problem, ProblemError
from tidewire.ingest.errors import FieldProblem
from tidewire.targeting.errors import (
    BatchOvertakenError,
    InvalidUserError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    StoreUnavailableError,
)

__all__ = [
    "CONTENT_TYPE",
    "Problem",
    "ProblemError",
    "bad_json",
    "body_timeout",
    "body_too_large",
    "gone_away",
    "internal",
    "invalid_request",
    "overloaded",
    "problem_of",
    "too_many",
    "unknown_node",
    "unknown_path",
]

_UNPROCESSABLE = HTTPStatus(422)
_TOO_LARGE = HTTPStatus(413)
_HANG_UP = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    status: HTTPStatus
    title: str


_RULES: dict[type[TidewireError], _Rule] = {
    LeaseLostError: _Rule("lease-lost", HTTPStatus.CONFLICT, "The lease is not this epoch's"),
    BatchOvertakenError: _Rule(
        "batch-overtaken", HTTPStatus.CONFLICT, "A later batch of this epoch was taken"
    ),
    NoFreeSlotError: _Rule("no-free-slot", HTTPStatus.CONFLICT, "Every slot is held"),
    NodeNameTakenError: _Rule(
        "node-name-taken", HTTPStatus.CONFLICT, "The node's name belongs to a live lease"
    ),
    InvalidUserError: _Rule("invalid-user", _UNPROCESSABLE, "No user can have this id"),
    StoreUnavailableError: _Rule(
        "store-unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "The registry's store does not answer"
    ),
    TidewireError: _Rule("internal", HTTPStatus.INTERNAL_SERVER_ERROR, "Something is wrong here"),
}


def problem_of(error: TidewireError) -> Problem:
    rule = next(_RULES[kind] for kind in type(error).__mro__ if kind in _RULES)
    headers = {"Retry-After": "1"} if rule.status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(rule.kind, rule.status, rule.title, str(error), headers=headers)


def invalid_request(errors: tuple[FieldProblem, ...]) -> Problem:
    detail = "; ".join(map(str, errors))
    return Problem(
        "invalid-request", _UNPROCESSABLE, "The request cannot be used", detail, errors=errors
    )


def bad_json(why: str) -> Problem:
    return Problem("bad-json", HTTPStatus.BAD_REQUEST, "The body is not JSON", why)


def too_many(what: str, given: int, most: int) -> Problem:
    return Problem(
        "batch-too-large",
        _TOO_LARGE,
        "The batch is too large",
        f"{given} {what} were sent, {most} are taken at once: send several smaller requests",
    )


def body_too_large(most: int) -> Problem:
    return Problem(
        "body-too-large",
        _TOO_LARGE,
        "The body is too large",
        f"more than {most} bytes: send several smaller requests",
        headers=_HANG_UP,
    )


def body_timeout(seconds: float) -> Problem:
    return Problem(
        "body-timeout",
        HTTPStatus.REQUEST_TIMEOUT,
        "The body did not arrive",
        f"the body was not complete after {seconds:g} s: send it faster",
        headers=_HANG_UP,
    )


def gone_away() -> Problem:
    """For the metrics: there is nobody left to read it."""
    return Problem(
        "gone-away",
        HTTPStatus.BAD_REQUEST,
        "The caller went away",
        "the connection ended before the body did: nothing was done",
        headers=_HANG_UP,
    )


def overloaded(most: int) -> Problem:
    return Problem(
        "overloaded",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many requests are in work",
        f"{most} requests are in work, as many as are taken: ask again later, in larger batches, "
        "or run more registries",
        headers={"Retry-After": "1"},
    )


def unknown_node(node: str) -> Problem:
    return Problem(
        "unknown-node",
        HTTPStatus.NOT_FOUND,
        "There is no such node",
        f"no lease is known under the name {node!r}: GET /v1/nodes lists those that are",
    )


def unknown_path(status: HTTPStatus, headers: dict[str, str]) -> Problem:
    """What the framework refuses by itself: unknown paths, wrong methods."""
    kind = status.phrase.lower().replace(" ", "-")
    cure = "GET /openapi.json describes what can be asked"
    return Problem(kind, status, status.phrase, cure, headers=headers)


def internal() -> Problem:
    return Problem(
        "internal",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something is wrong here",
        "the registry's log says what; what was asked for may have been done or not",
    )
