"""Tokens in HTTP requests: where one may stand, and what is answered where none or a bad one does."""

import math
from collections.abc import Iterable
from http import HTTPStatus

from ..identity.errors import ExpiredTokenError, IdentityError, UndecidedError
from .problems import Problem, ProblemError

__all__ = [
    "bearer_token",
    "check_query",
    "is_token_in_query",
    "token_missing",
    "token_refused",
    "token_undecided",
]

_REALM = 'Bearer realm="tidewire"'
_QUERY_PARAMETERS = frozenset({"token", "access_token", "bearer", "jwt", "authorization"})


def bearer_token(authorization: str | None) -> str | None:
    """The token of an ``Authorization: Bearer`` header; None without one."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def is_token_in_query(names: Iterable[str]) -> bool:
    """Whether a query parameter carries a token, by what it is called: it ends up in logs."""
    return not _QUERY_PARAMETERS.isdisjoint(name.lower() for name in names)


def check_query(names: Iterable[str], *, outcome: str = "invalid") -> None:
    """Raises ``ProblemError`` (400) where a query parameter carries a token."""
    if is_token_in_query(names):
        raise ProblemError(
            Problem(
                "token-in-query",
                HTTPStatus.BAD_REQUEST,
                "A token does not belong into the address",
                "send the token as `Authorization: Bearer <token>`, and treat this one as leaked",
                outcome=outcome,
            )
        )


def token_missing(detail: str, *, outcome: str = "invalid") -> Problem:
    """A 401 for a request without a token."""
    return _unauthorized("token-missing", detail, _REALM, outcome)


def token_refused(error: IdentityError, *, outcome: str = "invalid") -> Problem:
    """A 401 for a token that is not good."""
    kind = "token-expired" if isinstance(error, ExpiredTokenError) else "token-invalid"
    return _unauthorized(kind, str(error), f'{_REALM}, error="invalid_token"', outcome)


def token_undecided(error: UndecidedError, *, outcome: str = "unavailable") -> Problem:
    """A 503 for a token that may be good."""
    return Problem(
        "token-undecided",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The token cannot be checked yet",
        str(error),
        headers={"Retry-After": str(math.ceil(error.retry_after))},
        outcome=outcome,
    )


def _unauthorized(kind: str, detail: str, challenge: str, outcome: str) -> Problem:
    return Problem(
        kind,
        HTTPStatus.UNAUTHORIZED,
        "A good token is needed",
        detail,
        headers={"WWW-Authenticate": challenge},
        outcome=outcome,
    )
