"""The internal port's part in messages to users: operators' wishes, connections too many, pushes."""

from collections.abc import Callable
from typing import Annotated

import msgspec
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from tidewire.protocol.trace_context import TRACEPARENT

from .push import Push
from .service import Targeted

__all__ = ["make_internal_router"]

_MOST_BODY = 1024 * 1024
_MOST_CONNECTIONS = 1000


class _Close(BaseModel):
    model_config = ConfigDict(extra="ignore")

    connections: Annotated[list[str], Field(max_length=_MOST_CONNECTIONS)]


class _PushBody(msgspec.Struct):
    """``data`` stays the publisher's bytes."""

    user: str
    id: str
    epoch: str
    connections: Annotated[list[str], msgspec.Meta(max_length=_MOST_CONNECTIONS)]
    ts_ms: int
    data: msgspec.Raw


_decode_push = msgspec.json.Decoder(_PushBody).decode


def make_internal_router(targeted_of: Callable[[], Targeted | None]) -> APIRouter:
    """Routes for registry and publisher; 503 where the node has no messages to users."""
    router = APIRouter()

    def targeted() -> Targeted:
        found = targeted_of()
        if found is None:
            raise HTTPException(503, "no messages to users here: set TIDEWIRE_GATEWAY__TARGETED__…")
        return found

    @router.post("/internal/users/{user:path}/disconnect", summary="Close a user's connections")
    async def disconnect(user: str) -> dict[str, int]:
        return {"connections": targeted().close_user(user)}

    @router.post("/internal/connections/close", summary="Close connections that are too many")
    async def close(body: _Close) -> dict[str, int]:
        return {"connections": targeted().close_connections(body.connections)}

    @router.post(
        "/internal/push",
        summary="Deliver to connections of a user now, or not at all",
        openapi_extra={"requestBody": {"content": {"application/json": {}}}},
        responses={409: {"description": "The epoch is not this node's"}},
    )
    async def push(request: Request) -> Response:
        asked = _read_push(await request.body())
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


def _read_push(body: bytes) -> _PushBody:
    if len(body) > _MOST_BODY:
        raise HTTPException(413, f"{_MOST_BODY} bytes are the most")
    try:
        asked = _decode_push(body)
        orjson.loads(
            bytes(asked.data)
        )  # stricter than what skips it: clients must be able to read it
    except (msgspec.DecodeError, orjson.JSONDecodeError) as error:
        raise HTTPException(422, str(error)) from None
    return asked
