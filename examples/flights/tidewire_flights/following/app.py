"""The HTTP side: a visitor's token, and what the visitor follows."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from tidewire.http.problems import CONTENT_TYPE, Problem, ProblemError
from tidewire.http.serving import end_with

from .errors import FollowError, InvalidFlightError, LedgerError
from .followers import Followers
from .ledger import Ledger
from .pages import RunPages
from .teller import Teller
from .visitors import TOKEN_TTL, Visitors

__all__ = ["Parts", "create_app", "load_followers"]

_PRIVATE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Parts:
    """``run_file`` names the pages that may call."""

    visitors: Visitors
    followers: Followers
    ledger: Ledger
    teller: Teller
    run_file: Path


def create_app(parts: Parts) -> FastAPI:
    """The service; should the teller end, it calls ``state.stop`` and leaves the error in ``state.failure``."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        telling = asyncio.create_task(parts.teller.run(), name="teller")
        telling.add_done_callback(lambda ended: end_with(app, ended))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    app = FastAPI(title="Following flights", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.stop = app.state.failure = None
    endpoints = _Endpoints(parts)
    app.add_api_route("/api/visitor", endpoints.visitor, methods=["POST"])
    app.add_api_route("/api/follow", endpoints.followed, methods=["GET"])
    app.add_api_route("/api/follow/{flight:path}", endpoints.follow, methods=["PUT"])
    app.add_api_route("/api/follow/{flight:path}", endpoints.unfollow, methods=["DELETE"])
    app.add_exception_handler(ProblemError, _told)
    app.add_exception_handler(FollowError, _refused)
    app.add_exception_handler(LedgerError, _unusable)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_middleware(RunPages, run_file=parts.run_file)
    return app


class _Endpoints:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def visitor(self, request: Request) -> Response:
        """A token: for the visitor whose token is shown, otherwise for somebody new."""
        visitor = self._parts.visitors.welcome(request.headers.get("Authorization"))
        if not visitor.is_new and self._parts.followers.flights_of(visitor.visitor):
            self._parts.ledger.seen(visitor.visitor, time.time())
        body = {
            "visitor": visitor.visitor,
            "token": visitor.token,
            "expires_in_ms": round(visitor.expires_in * 1000),
        }
        return _json(body, HTTPStatus.CREATED if visitor.is_new else HTTPStatus.OK)

    async def followed(self, request: Request) -> Response:
        return self._flights(self._known(request))

    async def follow(self, request: Request, flight: str) -> Response:
        visitor, parts = self._known(request), self._parts
        if parts.followers.follow(visitor, flight):
            try:
                parts.ledger.seen(visitor, time.time())
                parts.ledger.follow(visitor, flight)
                parts.teller.keep()  # nobody is told of what was before
            except LedgerError:
                parts.followers.unfollow(visitor, flight)
                raise
        return self._flights(visitor)

    async def unfollow(self, request: Request, flight: str) -> Response:
        visitor = self._known(request)
        self._parts.ledger.unfollow(visitor, flight)
        self._parts.followers.unfollow(visitor, flight)
        return self._flights(visitor)

    def _known(self, request: Request) -> str:
        return self._parts.visitors.known(request.headers.get("Authorization"))

    def _flights(self, visitor: str) -> Response:
        return _json({"flights": self._parts.followers.flights_of(visitor)})


def load_followers(ledger: Ledger, now: float) -> Followers:
    """Who follows what, without those whose token has run out long ago."""
    ledger.forget_unseen(now - TOKEN_TTL)
    return Followers(ledger.followed())


def _json(body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(body), int(status), _PRIVATE, "application/json")


def _answer(problem: Problem) -> Response:
    headers = {**_PRIVATE, **problem.headers}
    return Response(orjson.dumps(problem.body()), int(problem.status), headers, CONTENT_TYPE)


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(error.problem)


async def _refused(_request: Request, error: Exception) -> Response:
    is_invalid = isinstance(error, InvalidFlightError)
    kind = "invalid-flight" if is_invalid else "too-many"
    status = HTTPStatus(422) if is_invalid else HTTPStatus.CONFLICT
    return _answer(Problem(kind, status, "The flight cannot be followed", str(error)))


async def _unusable(_request: Request, error: Exception) -> Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return _answer(Problem("unavailable", status, "Nothing can be kept", str(error)))


async def _http_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return _answer(
        Problem("no-such-path", status, status.phrase, "see tidewire_flights/following/app.py")
    )
