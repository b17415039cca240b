"""The public WebSocket route: judge the handshake, accept it, have it adopted."""

import random
from typing import Any, Final, cast

from fastapi import WebSocket
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, QueryParams
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from tidewire.protocol.codes import SUBPROTOCOL

from .adoptable import EXTENSION, Adoptable
from .connection import Connection
from .core.admission import Overload
from .node import Node
from .plain_upgrade import PATH

__all__ = ["make_route"]

_BEARER_SUBPROTOCOL = "tidewire.bearer."
_TOKEN_PARAMETERS = frozenset({"token", "access_token", "bearer", "jwt", "authorization"})
_RETRY_AFTER: Final = range(1, 6)
"""Seconds; who was refused together does not come back together."""
_DETAILS: Final = {
    Overload.DRAINING: "it is about to end",
    Overload.CONNECTIONS: "it has as many as it may have",
    Overload.HANDSHAKES: "too many handshakes are in flight",
    Overload.LOOP: "it is late with its work",
    Overload.MEMORY: "it is short of memory",
}


def make_route(node: Node) -> WebSocketRoute:
    """The public route: a plain one of Starlette's, since nothing needs to be injected into it."""
    return WebSocketRoute(PATH, _Entrance(node))


class _Entrance:
    """ASGI application of the public route."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        node = self._node
        refusal = _refusal(scope)
        if refusal is not None:
            node.instruments.handshake("refused")
            await WebSocket(scope, receive, send).send_denial_response(_bad_request(refusal))
            return
        overload = node.overload()
        if overload is not None:
            node.instruments.handshake(overload)
            await WebSocket(scope, receive, send).send_denial_response(_unavailable(overload))
            return
        offered = scope["subprotocols"]
        token = _token(scope, offered)
        await receive()  # websocket.connect
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
                "headers": (),
            }
        )
        protocol = cast(Adoptable, scope["extensions"][EXTENSION])
        protocol.adopt(lambda adopted: Connection(adopted, node, token))


def _refusal(scope: Scope) -> str | None:
    """Why the handshake cannot be accepted, if so."""
    query = QueryParams(scope["query_string"]) if scope["query_string"] else ()
    if not _TOKEN_PARAMETERS.isdisjoint(name.lower() for name in query):
        return (
            "a token in the URL ends up in logs: send it in hello, in the subprotocol "
            "tidewire.bearer.<token> or in an Authorization header"
        )
    offered = scope["subprotocols"]
    if offered and SUBPROTOCOL not in offered:
        return f"offer the subprotocol {SUBPROTOCOL}"
    return None


def _token(scope: Scope, offered: list[str]) -> str | None:
    scheme, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return credentials.strip()
    for subprotocol in offered:
        if subprotocol.startswith(_BEARER_SUBPROTOCOL):
            return subprotocol.removeprefix(_BEARER_SUBPROTOCOL)
    return None


def _bad_request(detail: str) -> JSONResponse:
    return _problem(
        {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail}
    )


def _unavailable(overload: Overload) -> JSONResponse:
    problem = {
        "type": f"urn:tidewire:problem:{overload.value.replace('_', '-')}",
        "title": "The node accepts no new connections",
        "status": 503,
        "detail": f"{_DETAILS[overload]}; try again after the time in Retry-After",
    }
    return _problem(problem, {"Retry-After": str(random.choice(_RETRY_AFTER))})  # noqa: S311 - jitter


def _problem(problem: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem,
        status_code=problem["status"],
        headers=headers,
        media_type="application/problem+json",
    )
