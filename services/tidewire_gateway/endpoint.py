"""The public WebSocket route: judge the handshake, accept it, have it adopted."""

from typing import cast

from fastapi import APIRouter, WebSocket
from fastapi.responses import JSONResponse

from tidewire.protocol.codes import SUBPROTOCOL

from .adopted import EXTENSION, AdoptableProtocol
from .connection import Connection
from .node import Node

__all__ = ["make_router"]

_BEARER_SUBPROTOCOL = "tidewire.bearer."
_TOKEN_PARAMETERS = frozenset({"token", "access_token", "bearer", "jwt", "authorization"})


def make_router(node: Node) -> APIRouter:
    """Routes of the public port that belong to the protocol."""
    router = APIRouter()

    @router.websocket("/v1/ws")
    async def connect(websocket: WebSocket) -> None:
        refusal = _refusal(websocket)
        if refusal is not None:
            node.instruments.handshake("refused")
            await websocket.send_denial_response(_problem(refusal))
            return
        offered = websocket.scope["subprotocols"]
        token = _token(websocket, offered)
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        protocol = cast(AdoptableProtocol, websocket.scope["extensions"][EXTENSION])
        protocol.adopt(Connection(protocol, node, token), high_water=node.limits.high_water)

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


def _problem(detail: str) -> JSONResponse:
    return JSONResponse(
        {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail},
        status_code=400,
        media_type="application/problem+json",
    )
