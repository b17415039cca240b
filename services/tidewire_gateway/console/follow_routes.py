"""`/v1/flows/follow` on the internal port: have this node follow an entity, or stop."""

import asyncio
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidewire.config.explain import explain
from tidewire.config.streams import is_reserved
from tidewire.http.answers import problem_response
from tidewire.http.bodies import BodyTooLargeError, read_bounded
from tidewire.http.page_guard import FOREIGN_PAGE
from tidewire.http.problems import Problem, ProblemError
from tidewire.ingest.errors import FieldProblem

from .following import LONGEST, MOST_FOLLOWED, Entity, Following

__all__ = ["PATH", "Follows", "make_follow_router"]

PATH: Final = "/v1/flows/follow"
_MOST_BODY: Final = 16 * 1024
_MEDIA_TYPE: Final = "application/json"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    stream: Annotated[str, Field(min_length=1, max_length=127)]
    key: Annotated[str, Field(min_length=1, max_length=1024)]
    seconds: Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)] = 60.0


_REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        _MEDIA_TYPE: {
            "schema": _Body.model_json_schema(),
            "example": {"stream": "flights", "key": "JFK/B6-704", "seconds": 60},
        }
    },
}
_TOO_MANY: Final = Problem(
    "too-many-followed",
    HTTPStatus.CONFLICT,
    "As many entities are followed as may be",
    f"{MOST_FOLLOWED} are the most at a time: end one (DELETE {PATH}), or wait until one is over",
)
_NOT_JSON: Final = Problem(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The body is not JSON",
    f"send it as Content-Type: {_MEDIA_TYPE}",
)
_TOO_LARGE: Final = Problem(
    "too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large",
    f"{_MOST_BODY} bytes are the most",
)
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": FOREIGN_PAGE.title},
    404: {"description": "There is no such stream"},
    413: {"description": _TOO_LARGE.title},
    415: {"description": _NOT_JSON.title},
    422: {"description": "The request is not as it should be: `errors` say what is wrong"},
}


class Follows:
    """Whom a node follows, in its loop: each ends by itself. ``streams`` are those that are configured."""

    def __init__(self, following: Following, streams: Collection[str]) -> None:
        self._following = following
        self._streams = frozenset(name for name in streams if not is_reserved(name))
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, entity: Entity, seconds: float) -> None:
        """Raises ``ProblemError``: 404 for an unknown stream, 409 where too many are followed."""
        self._check(entity.stream)
        now = self._loop.time()
        if not self._following.follow(entity, now + seconds, now):
            raise ProblemError(_TOO_MANY)
        self._schedule()

    def end(self, entity: Entity) -> None:
        """One that is not followed is no error. Raises ``ProblemError``: 404."""
        self._check(entity.stream)
        self._following.end(entity)
        self._schedule()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __len__(self) -> int:
        return len(self._following)

    def _check(self, stream: str) -> None:
        if stream not in self._streams:
            known = ", ".join(sorted(self._streams))
            raise ProblemError(
                Problem(
                    "unknown-stream",
                    HTTPStatus.NOT_FOUND,
                    "There is no such stream",
                    f"no stream {stream!r} is configured here; there are {known}",
                )
            )

    def _schedule(self) -> None:
        self.close()
        due_at = self._following.next_end()
        self._timer = None if due_at is None else self._loop.call_at(due_at, self._expire)

    def _expire(self) -> None:
        self._following.expire(self._loop.time())
        self._schedule()


def make_follow_router(follows_of: Callable[[], Follows | None]) -> APIRouter:
    """For an application behind a `PageGuard`; ``follows_of`` is None while the node is not started."""
    router = APIRouter()

    def follows() -> Follows:
        found = follows_of()
        if found is None:
            raise ProblemError(
                Problem(
                    "starting",
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "The node is not started",
                    "try again in a second",
                )
            )
        return found

    async def follow(request: Request) -> Response:
        try:
            asked = await _read(request)
            follows().follow(Entity(asked.stream, asked.key), asked.seconds)
        except ProblemError as refusal:
            return problem_response(refusal.problem)
        answer = asked.model_dump() | {"followed": len(follows())}
        return Response(orjson.dumps(answer), media_type=_MEDIA_TYPE)

    async def end(request: Request) -> Response:
        try:
            asked = await _read(request)
            follows().end(Entity(asked.stream, asked.key))
        except ProblemError as refusal:
            return problem_response(refusal.problem)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    router.add_api_route(
        PATH,
        follow,
        methods=["POST"],
        summary="Follow an entity's events for a while, whatever its producer says",
        response_class=Response,
        openapi_extra={"requestBody": _REQUEST_BODY},
        responses=_RESPONSES | {409: {"description": _TOO_MANY.title}},
    )
    router.add_api_route(
        PATH,
        end,
        methods=["DELETE"],
        status_code=HTTPStatus.NO_CONTENT,
        summary="Follow it no longer",
        openapi_extra={"requestBody": _REQUEST_BODY},
        responses=_RESPONSES,
    )
    return router


async def _read(request: Request) -> _Body:
    """The body of a request of the console, or of a program; raises ``ProblemError``."""
    sent_as = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent_as != _MEDIA_TYPE:
        raise ProblemError(_NOT_JSON)
    try:
        body = await read_bounded(request, _MOST_BODY)
    except BodyTooLargeError:
        raise ProblemError(_TOO_LARGE) from None
    try:
        return _Body.model_validate_json(body)
    except ValidationError as error:
        raise ProblemError(_invalid(error)) from None


def _invalid(error: ValidationError) -> Problem:
    told = [
        FieldProblem(
            ".".join(map(str, fault["loc"])), explain(fault, tuple(_Body.model_fields), {})
        )
        for fault in error.errors(include_url=False)
    ]
    return Problem(
        "invalid-request",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request is not as it should be",
        'send {"stream": …, "key": …, "seconds": …}; `errors` say what is wrong',
        errors=tuple(told),
    )
