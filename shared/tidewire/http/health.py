"""Health as platforms ask for it, the same of every service that answers in plain text."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from .answers import plain

__all__ = ["HEALTH_EXAMPLES", "Stage", "health_router"]


class Stage(StrEnum):
    """Of a service, one after the other. Whether others answer (Kafka, Redis, the registry) makes none of it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


_REFUSAL: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "Not now", "content": {"text/plain": {}}}
}


HEALTH_EXAMPLES: Final[Mapping[str, Mapping[int, str]]] = {
    "healthz": {200: "ok"},
    "startupz": {200: "started", 503: Stage.STARTING.value},
    "readyz": {200: Stage.READY.value, 503: Stage.DRAINING.value},
}
"""What OpenAPI shows, by the operation's id and the status."""


def health_router(stage: Callable[[], Stage]) -> APIRouter:
    """`/healthz`: the loop turns. `/startupz`: 200 once started, for good. `/readyz`: 200 until it drains."""
    router = APIRouter()

    @router.get("/healthz", summary="The loop turns", response_class=PlainTextResponse)
    async def healthz() -> Response:
        return plain("ok")

    @router.get(
        "/startupz", summary="Started", response_class=PlainTextResponse, responses=_REFUSAL
    )
    async def startupz() -> Response:
        if stage() is Stage.STARTING:
            return plain(Stage.STARTING, HTTPStatus.SERVICE_UNAVAILABLE)
        return plain("started")

    @router.get(
        "/readyz",
        summary="Started and not shutting down; nothing of Kafka, Redis and the registry, "
        "whose outage concerns all alike",
        response_class=PlainTextResponse,
        responses=_REFUSAL,
    )
    async def readyz() -> Response:
        now = stage()
        is_ready = now is Stage.READY
        return plain(now, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)

    return router
