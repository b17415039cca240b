"""The HTTP surface of publishing, to streams and to users; health, metrics."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request, Response
from prometheus_client import Counter

from tidewire.config.streams import Stream
from tidewire.errors import TidewireError
from tidewire.http.answers import problem_response
from tidewire.http.bearer import check_query
from tidewire.http.health import Stage, health_router
from tidewire.kafka.records import RecordPosition
from tidewire.publishing import EventLimits
from tidewire.telemetry.metrics import Metrics, label_or_other

from .body import Intake
from .core.access import Access, check_may_publish, check_may_reach
from .core.answers import Outcome, check_events, check_user_events, partly_written, written
from .core.problems import Problem, ProblemError, problem_of
from .core.requests import (
    JSON,
    MEDIA_TYPES,
    RequestLimits,
    events_of,
    is_batch,
    user_events_of,
    user_of,
)
from .ingest import EventIngest
from .openapi import (
    PUBLISH_BODY,
    PUBLISH_RESPONSES,
    USER_EVENTS_BODY,
    USER_EVENTS_RESPONSES,
    Published,
)

__all__ = ["Endpoints", "Policy"]

_Outcomes = tuple[Outcome, ...]
_User = Annotated[str, Path(description="percent-encoded; slashes may also stand as they are")]


@dataclass(frozen=True, slots=True)
class Policy:
    request: RequestLimits
    event: EventLimits
    is_dev: bool


class Endpoints:
    """Every route of the service but pushes, over the parts that `create_app` puts together."""

    def __init__(  # the composition's parts, by name
        self,
        *,
        streams: Mapping[str, Stream],
        ingest: EventIngest,
        access: Access,
        intake: Intake,
        policy: Policy,
        metrics: Metrics,
    ) -> None:
        self._streams = streams
        self._ingest = ingest
        self._access = access
        self._intake = intake
        self._policy = policy
        self._metrics = metrics
        self._published = metrics.counters("events_published_total", "outcome")
        self._published_to_users = metrics.counters("user_events_published_total", "outcome")
        self._publish_time = metrics.histogram("publish_seconds")
        self.stage = Stage.STARTING
        self.begun = asyncio.Event()

    def begin(self) -> None:
        """The first attempt to reach Kafka has ended, whichever way."""
        if self.stage is Stage.STARTING:
            self.stage = Stage.READY
        self.begun.set()

    def drain(self) -> None:
        """Go on answering, and say that it is not for long."""
        self.stage = Stage.DRAINING

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route(
            "/v1/events/{stream}",
            self.publish,
            methods=["POST"],
            summary="Publish one event or a batch",
            response_model=Published,
            responses=PUBLISH_RESPONSES,
            openapi_extra={"requestBody": PUBLISH_BODY, "security": [{"token": []}]},
        )
        router.add_api_route(
            "/v1/users/{user:path}/events",
            self.publish_to_user,
            methods=["POST"],
            summary="Publish one event or a batch to one user, wherever it is connected",
            response_model=Published,
            responses=USER_EVENTS_RESPONSES,
            openapi_extra={"requestBody": USER_EVENTS_BODY, "security": [{"token": []}]},
        )
        router.include_router(health_router(lambda: self.stage))
        router.add_api_route("/metrics", self.metrics, methods=["GET"], include_in_schema=False)
        return router

    async def publish(self, stream: str, request: Request) -> Response:
        """Answers once Kafka has acknowledged every event.

        A batch is checked as a whole before any of it is written. Where Kafka then takes only a part,
        the answer is the first failure's problem, and its `events` says which were written.
        """
        return await self._answer(self._publish(stream, request), self._published)

    async def publish_to_user(self, user: _User, request: Request) -> Response:
        """Answers once Kafka has acknowledged every event, like the publishing of events to a stream.

        A user who is away gets them on return, while mailboxes keep them.
        """
        raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        return await self._answer(
            self._publish_to_user(raw_path, request), self._published_to_users
        )

    async def metrics(self, request: Request) -> Response:
        text, content_type = self._metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    async def _publish(self, stream: str, request: Request) -> _Outcomes:
        check_query(request.query_params)
        identity = await self._access.identify(request.headers.get("authorization"))
        check_may_publish(identity, stream)
        rules = self._rules_of(stream)
        async with self._intake.taken(request, MEDIA_TYPES) as (media_type, body):
            arrived_at = time.perf_counter()
            events = events_of(media_type, request.headers, body, self._policy.request)
            many = is_batch(media_type, body)
            check_events(stream, rules, events, self._policy.event, is_batch=many)
            outcomes = await self._ingest.publish_all(stream, events)
            self._publish_time.observe(time.perf_counter() - arrived_at)
        return outcomes

    async def _publish_to_user(self, raw_path: bytes, request: Request) -> _Outcomes:
        check_query(request.query_params)
        identity = await self._access.identify(request.headers.get("authorization"))
        user = user_of(raw_path)
        check_may_reach(identity, user)
        async with self._intake.taken(request, (JSON,)) as (media_type, body):
            arrived_at = time.perf_counter()
            events = user_events_of(user, request.headers, body, self._policy.request)
            check_user_events(events, self._policy.event, is_batch=is_batch(media_type, body))
            outcomes = await self._ingest.publish_all_to_users(events)
            self._publish_time.observe(time.perf_counter() - arrived_at)
        return outcomes

    def _rules_of(self, stream: str) -> Stream:
        rules = self._streams.get(stream)
        if rules is not None:
            return rules
        known = f"; known: {', '.join(sorted(self._streams))}" if self._policy.is_dev else ""
        raise ProblemError(
            Problem(
                "unknown-stream",
                HTTPStatus.NOT_FOUND,
                "There is no such stream",
                f"stream {stream!r} is not configured{known}",
            )
        )

    async def _answer(
        self, publishing: Awaitable[_Outcomes], published: dict[str, Counter]
    ) -> Response:
        """What became of a request, which ``published`` counts by outcome."""
        try:
            outcomes = await publishing
        except ProblemError as e:
            return _refused(e.problem, published)
        except TidewireError as e:
            return _refused(problem_of(e), published)
        positions = [o for o in outcomes if isinstance(o, RecordPosition)]
        published["written"].inc(len(positions))
        if len(positions) == len(outcomes):
            return Response(orjson.dumps(written(positions)), media_type="application/json")
        for outcome in outcomes:
            if isinstance(outcome, TidewireError):
                label_or_other(published, problem_of(outcome).outcome).inc()
        problem, members = partly_written(outcomes)
        return problem_response(problem, members)


def _refused(problem: Problem, published: dict[str, Counter]) -> Response:
    label_or_other(published, problem.outcome).inc()
    return problem_response(problem)
