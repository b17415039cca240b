"""Why a request is refused before the upgrade, as a problem."""

from http import HTTPStatus
from typing import Final

from tidewire.http.problems import Problem
from tidewire.protocol.codes import SUBPROTOCOL

from .admission import Overload
from .limits import Limit

__all__ = ["FOREIGN_ORIGIN", "OTHER_SUBPROTOCOL", "TOKEN_IN_QUERY", "limited", "overloaded"]

FOREIGN_ORIGIN: Final = Problem(
    "foreign-origin",
    HTTPStatus.FORBIDDEN,
    "Pages of this origin may not ask here",
    "an operator allows pages by their origin, in TIDEWIRE_GATEWAY__ORIGINS; programs name none",
    outcome="forbidden_origin",
)
TOKEN_IN_QUERY: Final = Problem(
    "token-in-query",
    HTTPStatus.BAD_REQUEST,
    "A token does not belong into the address",
    "a token in the URL ends up in logs: send it in hello, in the subprotocol tidewire.bearer.<token> or in an "
    "Authorization header, and treat this one as leaked",
    outcome="refused",
)
OTHER_SUBPROTOCOL: Final = Problem(
    "other-subprotocol",
    HTTPStatus.BAD_REQUEST,
    "No subprotocol that is spoken here was offered",
    f"offer the subprotocol {SUBPROTOCOL}",
    outcome="refused",
)
_OVERLOADS: Final = {
    Overload.DRAINING: "it is about to end",
    Overload.CONNECTIONS: "it has as many as it may have",
    Overload.HANDSHAKES: "too many handshakes are in flight",
    Overload.LOOP: "it is late with its work",
    Overload.MEMORY: "it is short of memory",
    Overload.RATE: "too many clients came in a short time",
}
_LIMITS: Final = {
    Limit.ADDRESS_CONNECTIONS: "it has as many connections as one may have",
    Limit.ADDRESS_HANDSHAKES: "too many handshakes came from it in a short time",
}
_AGAIN: Final = "try again after the time in Retry-After"


def overloaded(overload: Overload, retry_after: int) -> Problem:
    """The node takes nobody; ``retry_after`` in seconds."""
    return Problem(
        overload.value.replace("_", "-"),
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The node accepts no new connections",
        f"{_OVERLOADS[overload]}; {_AGAIN}",
        headers={"Retry-After": str(retry_after)},
        outcome=overload,
    )


def limited(limit: Limit, retry_after: int) -> Problem:
    """An address has had enough; ``retry_after`` in seconds."""
    return Problem(
        f"limited-{limit.value.replace('_', '-')}",
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too much comes from this address",
        f"{_LIMITS[limit]}; {_AGAIN}",
        headers={"Retry-After": str(retry_after)},
        outcome="limited",
    )
