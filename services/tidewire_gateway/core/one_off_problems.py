"""Why a channel is not read once over HTTP, as a problem."""

from http import HTTPStatus

from tidewire.http.bearer import token_missing
from tidewire.http.problems import Problem
from tidewire.identity.claims import Identity
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError

__all__ = [
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "method_not_allowed",
    "overloaded",
    "refused",
    "unreadable",
]

UNAUTHORIZED = "unauthorized"
UNAVAILABLE = "unavailable"
BAD_REQUEST = "bad_request"
_UNREADABLE_RETRY_AFTER = 2
_OVERLOADED_RETRY_AFTER = 1


def refused(fault: ProtocolError, name: str, identity: Identity | None) -> Problem:
    """The problem for a channel that cannot be had; ``identity`` None is an anonymous client."""
    if fault.code is ErrorCode.FORBIDDEN and identity is None:
        detail = f"{name} is not public: send `Authorization: Bearer <token>`"
        return token_missing(detail, outcome=UNAUTHORIZED)
    if fault.code is ErrorCode.FORBIDDEN:
        return Problem(
            "forbidden",
            HTTPStatus.FORBIDDEN,
            "The token does not allow this",
            f"{fault.message}: its claim caps needs the right `subscribe` for the channel",
            outcome="forbidden",
        )
    if fault.code is ErrorCode.UNKNOWN_CHANNEL:
        return Problem(
            "unknown-channel",
            HTTPStatus.NOT_FOUND,
            "There is no such channel",
            fault.message,
            outcome="unknown_channel",
        )
    return Problem(
        "bad-channel",
        HTTPStatus.BAD_REQUEST,
        "This is not the name of a channel",
        fault.message,
        outcome=BAD_REQUEST,
    )


def unreadable(name: str, timeout: float) -> Problem:
    """The channel's partitions could not be read within ``timeout`` seconds."""
    return Problem(
        "unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The channel cannot be read now",
        f"the partitions of {name} could not be read within {timeout:g} s; try again later",
        headers={"Retry-After": str(_UNREADABLE_RETRY_AFTER)},
        outcome=UNAVAILABLE,
    )


def overloaded(reads: int) -> Problem:
    """So many reads are in work already."""
    return Problem(
        "overloaded",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "This node has enough to do",
        f"{reads} channels are being read, as many as may at once; try again, or subscribe",
        headers={"Retry-After": str(_OVERLOADED_RETRY_AFTER)},
        outcome="overloaded",
    )


def method_not_allowed(method: str) -> Problem:
    """A channel is only ever read here."""
    return Problem(
        "method-not-allowed",
        HTTPStatus.METHOD_NOT_ALLOWED,
        "The method is not allowed",
        f"{method} is not answered here: GET reads a channel, the publisher takes events",
        headers={"Allow": "GET, HEAD"},
        outcome=BAD_REQUEST,
    )
