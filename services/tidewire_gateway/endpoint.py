"""The public WebSocket route: judge the handshake, accept it, have it adopted."""

import random
from typing import Any, Final, cast

from fastapi import APIRouter, WebSocket
from fastapi.responses import JSONResponse

from tidewire.protocol.codes import SUBPROTOCOL

from .adopted import EXTENSION, AdoptableProtocol
from .connection import Connection
from .core.admission import Overload
from .node import Node

__all__ = ["make_router"]

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


def make_router(node: Node) -> APIRouter:
    """Routes of the public port that belong to the protocol."""
    router = APIRouter()

    @router.websocket("/v1/ws")
    async def connect(websocket: WebSocket) -> None:
        refusal = _refusal(websocket)
        if refusal is not None:
            node.instruments.handshake("refused")
            await websocket.send_denial_response(_bad_request(refusal))
            return
        overload = node.overload()
        if overload is not None:
            node.instruments.handshake(overload)
            await websocket.send_denial_response(_unavailable(overload))
            return
        offered = websocket.scope["subprotocols"]
        token = _token(websocket, offered)
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        protocol = cast(AdoptableProtocol, websocket.scope["extensions"][EXTENSION])
        protocol.adopt(Connection(protocol, node, token))

    return router


def _refusal(websocket: WebSocket) -> str | None:
    """Why the handshake cannot be accepted, if so."""
    if not _TOKEN_PARAMETERS.isdisjoint(name.lower() for name in websocket.query_params):
        return (
            "a token in the URL ends up in logs: send it in hello, in the subprotocol "
            "tidewire.bearer.<token> or in an Authorization header"
        )
    offered = websocket.scope["subprotocols"]
    if offered and SUBPROTOCOL not in offered:
        return f"offer the subprotocol {SUBPROTOCOL}"
    return None


def _token(websocket: WebSocket, offered: list[str]) -> str | None:
    scheme, _, credentials = websocket.headers.get("authorization", "").partition(" ")
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
