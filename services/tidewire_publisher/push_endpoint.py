"""The HTTP surface of pushes: `POST /v1/push`."""

import time
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from tidewire.errors import TidewireError
from tidewire.http.answers import problem_response
from tidewire.http.bearer import check_query
from tidewire.ingest.user_events import parse_push
from tidewire.publishing import EventLimits
from tidewire.publishing.origin import origin_of
from tidewire.publishing.sending import Sends
from tidewire.telemetry.metrics import Metrics, label_or_other

from .body import Intake
from .core.access import Access, check_may_reach
from .core.problems import Problem, ProblemError, problem_of
from .core.push import answer_of, push_of
from .core.requests import JSON, RequestLimits, check_user_sizes, traced
from .openapi import PUSH_BODY, PUSH_RESPONSES, Pushed
from .pusher import Pusher
from .settings import PREFIX

__all__ = ["PushEndpoint"]

_SYSTEM, _CHANNEL = "tidewire", "@me"
"""What a push is sent by and to, as traces say it: no topic lies between."""


class PushEndpoint:
    """``pusher`` None: there is no registry to ask, so that every push is refused."""

    def __init__(  # the composition's parts, by name
        self,
        *,
        source: str,
        pusher: Pusher | None,
        access: Access,
        intake: Intake,
        requests: RequestLimits,
        events: EventLimits,
        metrics: Metrics,
        sends: Sends,
    ) -> None:
        self._source = source
        self._sends = sends
        self._pusher = pusher
        self._access = access
        self._intake = intake
        self._requests = requests
        self._events = events
        self._pushes = metrics.counters("pushes_total", "outcome")
        self._push_time = metrics.histogram("push_seconds")

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route(
            "/v1/push",
            self.push,
            methods=["POST"],
            summary="Push to a user's devices now, and tell what became of it on each",
            response_model=Pushed,
            responses=PUSH_RESPONSES,
            openapi_extra={"requestBody": PUSH_BODY, "security": [{"token": []}]},
        )
        return router

    async def push(self, request: Request) -> Response:
        """Answers once every node that holds the user has answered, or was waited for in vain."""
        try:
            members = await self._push(request)
        except ProblemError as e:
            return self._refused(e.problem)
        except TidewireError as e:
            return self._refused(problem_of(e))
        self._pushes["answered"].inc()
        return Response(orjson.dumps(members), media_type="application/json")

    async def _push(self, request: Request) -> Any:
        check_query(request.query_params)
        identity = await self._access.identify(request.headers.get("authorization"))
        pusher = self._checked_pusher()
        async with self._intake.taken(request, (JSON,)) as (_, body):
            arrived_at = time.perf_counter()
            [event] = traced((parse_push(body),), request.headers)
            check_may_reach(identity, event.user)
            check_user_sizes((event,), self._requests, is_batch=False)
            with self._sends.begin(_CHANNEL, event.trace, system=_SYSTEM) as send:
                origin = origin_of(self._source, trace=send.trace)
                push = push_of(event, origin, round(time.time() * 1000), self._events)
                send.describe(push.id, len(push.data))
                devices = await pusher.push(push)
            self._push_time.observe(time.perf_counter() - arrived_at)
        return answer_of(push, devices)

    def _checked_pusher(self) -> Pusher:
        if self._pusher is not None:
            return self._pusher
        raise ProblemError(
            Problem(
                "not-configured",
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Pushes are not configured",
                f"{PREFIX}REGISTRY_URL is not set: the publisher cannot look up where users are; "
                "POST /v1/users/{user}/events works without it",
                outcome="unavailable",
            )
        )

    def _refused(self, problem: Problem) -> Response:
        label_or_other(self._pushes, problem.outcome).inc()
        return problem_response(problem)
