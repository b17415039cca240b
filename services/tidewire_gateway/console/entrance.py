"""`/v1/ws` of the internal port: accept an operator's handshake and have the connection adopted."""

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from fastapi import WebSocket
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from tidewire.http.answers import problem_response
from tidewire.http.problems import Problem
from tidewire.protocol.codes import SUBPROTOCOL

from ..adoptable import EXTENSION, Adoptable
from ..connection import Connection
from ..plain_upgrade import PATH
from .operators import MOST_OPERATORS, Operators

__all__ = ["make_operators_route"]

_NOT_STARTED = Problem(
    "starting", HTTPStatus.SERVICE_UNAVAILABLE, "The node is not started", "try again in a second"
)
_FULL = Problem(
    "too-many-operators",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The node has as many operators' connections as it may have",
    f"{MOST_OPERATORS} are the most: close some of the console's pages",
)


def make_operators_route(operators_of: Callable[[], Operators | None]) -> WebSocketRoute:
    """The route, for an application behind a `PageGuard`; ``operators_of`` is None while the node is not started."""
    return WebSocketRoute(PATH, _Entrance(operators_of))


class _Entrance:
    """ASGI application of the route."""

    def __init__(self, operators_of: Callable[[], Operators | None]) -> None:
        self._operators_of = operators_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operators = self._operators_of()
        refusal = _refusal(operators)
        if refusal is not None:
            response = problem_response(refusal)
            await WebSocket(scope, receive, send).send_denial_response(response)
            return
        assert operators is not None
        await receive()  # websocket.connect
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": ()})
        protocol = cast(Adoptable, scope["extensions"][EXTENSION])
        protocol.adopt(lambda adopted: Connection(adopted, operators, None))


def _refusal(operators: Operators | None) -> Problem | None:
    if operators is None:
        return _NOT_STARTED
    return _FULL if operators.is_full else None
