"""The internal port's part in messages to users: operators' wishes, connections too many, pushes."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import orjson
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from tidewire.http.bodies import BodyTooLargeError, read_bounded
from tidewire.protocol.trace_context import TRACEPARENT

from .push import Push
from .service import Targeted

__all__ = ["make_internal_router"]

T = TypeVar("T")

_MOST_BODY = 1024 * 1024
_MOST_CONNECTIONS = 1000


class _Close(msgspec.Struct):
    connections: Annotated[list[str], msgspec.Meta(max_length=_MOST_CONNECTIONS)]


class _PushBody(msgspec.Struct):
    """``data`` stays the publisher's bytes."""

    user: str
    id: str
    epoch: str
    connections: Annotated[list[str], msgspec.Meta(max_length=_MOST_CONNECTIONS)]
    ts_ms: int
    data: msgspec.Raw


_decode_close = msgspec.json.Decoder(_Close).decode
_decode_push = msgspec.json.Decoder(_PushBody).decode

_NO_MESSAGES: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "The node has no messages to users"}
}
_NO_USER: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "No user can have this name"}
}
_BAD_BODY: Final[dict[int | str, dict[str, Any]]] = {
    413: {"description": "The body is too large"},
    422: {"description": "The body is not what is asked for"},
}
_JSON: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


def make_internal_router(targeted_of: Callable[[], Targeted | None]) -> APIRouter:
    """Routes for registry and publisher; 503 where the node has no messages to users."""
    router = APIRouter()

    def targeted() -> Targeted:
        found = targeted_of()
        if found is None:
            raise HTTPException(503, "no messages to users here: set TIDEWIRE_GATEWAY__TARGETED__…")
        return found

    @router.post(
        "/internal/users/{user:path}/disconnect",
        summary="Close a user's connections",
        responses=_NO_USER | _NO_MESSAGES,
    )
    async def disconnect(user: str) -> dict[str, int]:
        return {"connections": targeted().close_user(user)}

    @router.post(
        "/internal/connections/close",
        summary="Close connections that are too many",
        openapi_extra=_JSON,
        responses=_BAD_BODY | _NO_MESSAGES,
    )
    async def close(request: Request) -> dict[str, int]:
        asked = _decoded(_decode_close, await _body_of(request))
        return {"connections": targeted().close_connections(asked.connections)}

    @router.post(
        "/internal/push",
        summary="Deliver to connections of a user now, or not at all",
        openapi_extra=_JSON,
        responses=_BAD_BODY | _NO_MESSAGES | {409: {"description": "The epoch is not this node's"}},
    )
    async def push(request: Request) -> Response:
        asked = _read_push(await _body_of(request))
        to = Push(
            user=asked.user,
            id=asked.id,
            data=bytes(asked.data),
            ts_ms=asked.ts_ms,
            connections=asked.connections,
            traceparent=request.headers.get(TRACEPARENT, "").encode("latin-1"),
        )
        outcomes = targeted().push(asked.epoch, to)
        if outcomes is None:
            raise HTTPException(409, "the node does not hold this epoch")
        return Response(orjson.dumps({"outcomes": outcomes}), media_type="application/json")

    return router


async def _body_of(request: Request) -> bytes:
    """All of it; no more than there may be is read."""
    try:
        return await read_bounded(request, _MOST_BODY)
    except BodyTooLargeError:
        raise HTTPException(
            413, f"{_MOST_BODY} bytes are the most", {"Connection": "close"}
        ) from None


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        return decode(body)
    except RecursionError:
        raise HTTPException(422, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(422, str(error)) from None


def _read_push(body: bytes) -> _PushBody:
    asked = _decoded(_decode_push, body)
    try:
        orjson.loads(bytes(asked.data))  # stricter than what skips it: clients have to read it
    except orjson.JSONDecodeError as error:
        raise HTTPException(422, str(error)) from None
    return asked
