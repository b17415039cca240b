"""The HTTP surface: publish, health, metrics."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from tidewire.config.streams import Stream
from tidewire.errors import TidewireError
from tidewire.http.bearer import check_query
from tidewire.kafka.records import RecordPosition
from tidewire.publishing import EventLimits
from tidewire.telemetry.metrics import Metrics, label_or_other

from .body import declared_size, read_body
from .core.access import Access
from .core.admission import Admission
from .core.answers import Outcome, check_events, partly_written, written
from .core.problems import CONTENT_TYPE, Problem, ProblemError, problem_of
from .core.requests import RequestLimits, events_of, is_batch, media_type_of
from .ingest import EventIngest
from .openapi import PUBLISH_RESPONSES, REQUEST_BODY, Published

__all__ = ["Endpoints", "problem_response"]


@dataclass(frozen=True, slots=True)
class Policy:
    request: RequestLimits
    event: EventLimits
    body_timeout: float
    is_dev: bool


class Endpoints:
    """Every route of the service, over the parts that `create_app` puts together."""

    def __init__(  # the composition's parts, by name
        self,
        *,
        streams: Mapping[str, Stream],
        ingest: EventIngest,
        access: Access,
        admission: Admission,
        policy: Policy,
        metrics: Metrics,
    ) -> None:
        self._streams = streams
        self._ingest = ingest
        self._access = access
        self._admission = admission
        self._policy = policy
        self._metrics = metrics
        self._published = metrics.counters("events_published_total", "outcome")
        self._publish_time = metrics.histogram("publish_seconds")
        self.is_ready = False

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route(
            "/v1/events/{stream}",
            self.publish,
            methods=["POST"],
            summary="Publish one event or a batch",
            response_model=Published,
            responses=PUBLISH_RESPONSES,
            openapi_extra={"requestBody": REQUEST_BODY, "security": [{"token": []}]},
        )
        router.add_api_route("/healthz", self.healthz, methods=["GET"], summary="The loop turns")
        router.add_api_route(
            "/readyz", self.readyz, methods=["GET"], summary="Started and not shutting down"
        )
        router.add_api_route("/metrics", self.metrics, methods=["GET"], include_in_schema=False)
        return router

    async def publish(self, stream: str, request: Request) -> Response:
        """Answers once Kafka has acknowledged every event.

        A batch is checked as a whole before any of it is written. Where Kafka then takes only a part,
        the answer is the first failure's problem, and its `events` says which were written.
        """
        try:
            outcomes = await self._publish(stream, request)
        except ProblemError as e:
            return self._refused(e.problem)
        except TidewireError as e:
            return self._refused(problem_of(e))
        return self._answer(outcomes)

    async def healthz(self) -> Response:
        return _plain("ok")

    async def readyz(self) -> Response:
        if self.is_ready:
            return _plain("ready")
        return _plain("not ready", HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        text, content_type = self._metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    async def _publish(self, stream: str, request: Request) -> tuple[Outcome, ...]:
        check_query(request.query_params)
        self._access.check(request.headers.get("authorization"), stream)
        rules = self._rules_of(stream)
        media_type = media_type_of(request.headers)
        limits = self._policy.request
        with self._admission.reserve(declared_size(request, limits.max_body_bytes)):
            body = await read_body(request, limits.max_body_bytes, self._policy.body_timeout)
            arrived_at = time.perf_counter()
            events = events_of(media_type, request.headers, body, limits)
            many = is_batch(media_type, body)
            check_events(stream, rules, events, self._policy.event, is_batch=many)
            outcomes = await self._ingest.publish_all(stream, events)
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

    def _answer(self, outcomes: tuple[Outcome, ...]) -> Response:
        positions = [o for o in outcomes if isinstance(o, RecordPosition)]
        self._published["written"].inc(len(positions))
        if len(positions) == len(outcomes):
            return Response(orjson.dumps(written(positions)), media_type="application/json")
        for outcome in outcomes:
            if isinstance(outcome, TidewireError):
                label_or_other(self._published, problem_of(outcome).outcome).inc()
        problem, members = partly_written(outcomes)
        return problem_response(problem, members)

    def _refused(self, problem: Problem) -> Response:
        label_or_other(self._published, problem.outcome).inc()
        return problem_response(problem)


def problem_response(problem: Problem, members: Mapping[str, Any] | None = None) -> Response:
    return Response(
        orjson.dumps(problem.body(**(members or {}))),
        status_code=int(problem.status),
        headers=problem.headers,
        media_type=CONTENT_TYPE,
    )


def _plain(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(text + "\n", status_code=int(status), media_type="text/plain")
