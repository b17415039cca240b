"""Which problem tells a client of which error (pure)."""

from dataclasses import dataclass
from http import HTTPStatus

from tidewire.errors import TidewireError
from tidewire.http.problems import CONTENT_TYPE, Problem, ProblemError
from tidewire.ingest.errors import (
    FieldProblem,
    InvalidEventsError,
    NotJsonError,
    TooManyEventsError,
)
from tidewire.kafka.errors import (
    BrokerUnavailableError,
    BufferFullError,
    RecordTooLargeError,
    UnknownTopicError,
)
from tidewire.publishing.errors import InvalidEventError, PublisherClosedError
from tidewire.targeting.errors import RegistryUnavailableError

__all__ = ["CONTENT_TYPE", "Problem", "ProblemError", "problem_of"]


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    status: HTTPStatus
    title: str
    outcome: str
    retry_after: int | None = None


_UNPROCESSABLE = HTTPStatus(422)
_TOO_LARGE = HTTPStatus(413)
_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE

_RULES: dict[type[TidewireError], _Rule] = {
    NotJsonError: _Rule("bad-json", HTTPStatus.BAD_REQUEST, "The body is not JSON", "invalid"),
    InvalidEventsError: _Rule(
        "invalid-event", _UNPROCESSABLE, "The event cannot be published", "invalid"
    ),
    InvalidEventError: _Rule(
        "invalid-event", _UNPROCESSABLE, "The event cannot be published", "invalid"
    ),
    TooManyEventsError: _Rule("batch-too-large", _TOO_LARGE, "The batch is too large", "too_large"),
    RecordTooLargeError: _Rule(
        "event-too-large", _TOO_LARGE, "The event is too large", "too_large"
    ),
    UnknownTopicError: _Rule(
        "topic-missing", _UNAVAILABLE, "The topic does not exist", "unavailable", 5
    ),
    BrokerUnavailableError: _Rule(
        "broker-unavailable", _UNAVAILABLE, "Kafka cannot be reached", "unavailable", 2
    ),
    BufferFullError: _Rule("buffer-full", _UNAVAILABLE, "The buffer is full", "buffer_full", 1),
    PublisherClosedError: _Rule(
        "shutting-down", _UNAVAILABLE, "The publisher is shutting down", "unavailable", 1
    ),
    RegistryUnavailableError: _Rule(
        "registry-unavailable", _UNAVAILABLE, "The registry cannot be reached", "unavailable", 2
    ),
    TidewireError: _Rule(
        "broker-refused", HTTPStatus.BAD_GATEWAY, "Kafka refused the event", "other"
    ),
}


def problem_of(error: TidewireError) -> Problem:
    """The problem that tells a client of ``error``."""
    rule = next(_RULES[kind] for kind in type(error).__mro__ if kind in _RULES)
    detail = str(error)
    if isinstance(error, UnknownTopicError):
        detail += "; make it with `tidewire topics apply`"
    return Problem(
        rule.kind,
        rule.status,
        rule.title,
        detail,
        errors=_errors_of(error),
        headers={} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)},
        outcome=rule.outcome,
    )


def _errors_of(error: TidewireError) -> tuple[FieldProblem, ...]:
    match error:
        case InvalidEventsError():
            return error.problems
        case InvalidEventError():
            return (FieldProblem(error.field, error.message),)
        case _:
            return ()
