"""`GET /v1/channels/{channel}`: a channel read once over HTTP."""

import asyncio
import time
from collections.abc import Callable

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPBearer
from starlette.types import Receive, Scope, Send

from tidewire.http.answers import problem_response
from tidewire.http.bearer import bearer_token, check_query, token_refused, token_undecided
from tidewire.http.problems import ProblemError
from tidewire.identity.claims import Identity
from tidewire.identity.errors import IdentityError, UndecidedError
from tidewire.identity.verifying import verified

from .core.one_off import ChannelSnapshot, names_etag
from .core.one_off_problems import BAD_REQUEST, UNAUTHORIZED, UNAVAILABLE, method_not_allowed
from .instruments import Instruments
from .one_off import OneOffReads
from .openapi import CHANNEL_DESCRIPTION, CHANNEL_PARAMETERS, CHANNEL_RESPONSES

__all__ = ["make_one_off_router"]

_PATH = "/v1/channels/{channel:path}"
_SLICE = 64 * 1024
"""Bytes of an answer that are joined, and handed to the socket, at a time."""
_HEADERS = {"Cache-Control": "no-cache", "Vary": "Authorization"}
_TOKEN = HTTPBearer(auto_error=False, scheme_name="token", bearerFormat="JWT")
_LAST = {"type": "http.response.body", "body": b"", "more_body": False}


def make_one_off_router(
    reads: OneOffReads, verify: Callable[[str], Identity], instruments: Instruments
) -> APIRouter:
    """The public port's routes for reading a channel once; ``verify`` raises ``IdentityError``."""
    router = APIRouter()
    reader = _ChannelReader(reads, verify, instruments)

    async def read_channel(request: Request) -> Response:
        return _Deferred(reader, request)

    async def refuse_method(request: Request) -> Response:
        return problem_response(method_not_allowed(request.method), headers=_HEADERS)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            _PATH,
            read_channel,
            methods=[method],
            operation_id=f"{method.lower()}_channel",
            summary="Read a channel once" if method == "GET" else "Whether a channel has moved",
            description=CHANNEL_DESCRIPTION,
            dependencies=[Security(_TOKEN)],
            responses=CHANNEL_RESPONSES,
            response_class=Response,
            openapi_extra={"parameters": CHANNEL_PARAMETERS, "security": [{}]},
        )
    router.add_api_route(
        _PATH,
        refuse_method,
        methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        include_in_schema=False,
    )
    return router


class _ChannelReader:
    """Answers one request after another over the node's reads, and counts them."""

    def __init__(
        self, reads: OneOffReads, verify: Callable[[str], Identity], instruments: Instruments
    ) -> None:
        self._reads = reads
        self._verify = verify
        self._instruments = instruments

    async def answer(self, request: Request, send: Send) -> None:
        """Read the channel and write it; a client that takes nothing in time is cut off."""
        try:
            outcome = await self._read(request, send)
        except ProblemError as refusal:
            outcome = refusal.problem.outcome
            await problem_response(refusal.problem, headers=_HEADERS)(
                request.scope, request.receive, send
            )
        self._instruments.one_off_read(outcome)

    async def _read(self, request: Request, send: Send) -> str:
        name: str = request.path_params["channel"]
        check_query(request.query_params, outcome=BAD_REQUEST)
        channel = self._reads.resolve(name, await self._identity(request))
        asked_at = time.perf_counter()
        with self._reads.place():
            snapshot = await self._reads.snapshot(name, channel)
            self._instruments.one_off_read_time.observe(time.perf_counter() - asked_at)
            stale_age = self._reads.stale_age
            headers = _headers(snapshot, stale_age)
            if names_etag(", ".join(request.headers.getlist("if-none-match")), snapshot.etag):
                unchanged = Response(status_code=304, headers=headers)
                await unchanged(request.scope, request.receive, send)
                return "not_modified"
            await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
            is_taken = request.method == "HEAD" or await self._write(snapshot, send)
            if not is_taken:
                return "cut_off"
            await send(_LAST)
        return "answered" if stale_age is None else "stale"

    async def _write(self, snapshot: ChannelSnapshot, send: Send) -> bool:
        """Slice by slice, at the pace of the socket; returns whether the client has taken them all."""
        for part in snapshot.body(_SLICE):
            try:
                async with asyncio.timeout(self._reads.stall_timeout):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError:
                return False
            await asyncio.sleep(0)  # a socket that takes everything at once would keep the loop
        return True

    async def _identity(self, request: Request) -> Identity | None:
        token = bearer_token(request.headers.get("authorization"))
        if token is None:
            return None
        try:
            return await verified(self._verify, token)
        except UndecidedError as e:
            raise ProblemError(token_undecided(e, outcome=UNAVAILABLE)) from None
        except IdentityError as e:
            raise ProblemError(token_refused(e, outcome=UNAUTHORIZED)) from None


class _Deferred(Response):
    """Reads when it is sent: its place is held until the client has taken the last byte."""

    def __init__(self, reader: _ChannelReader, request: Request) -> None:
        super().__init__()
        self._reader = reader
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._reader.answer(self._request, send)


def _headers(snapshot: ChannelSnapshot, stale_age: float | None) -> dict[str, str]:
    headers = {**_HEADERS, "ETag": snapshot.etag}
    if stale_age is not None:
        headers["Tidewire-State"] = "stale"
        headers["Tidewire-Stale-Ms"] = str(round(stale_age * 1000))
    return headers


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    named = {"Content-Type": "application/json", **headers}
    return [(name.lower().encode(), value.encode()) for name, value in named.items()]
