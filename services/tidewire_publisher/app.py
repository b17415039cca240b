"""The composition root: settings and a writer in, an ASGI application out."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from tidewire import __version__
from tidewire.config.streams import Stream
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.ports import RecordWriter
from tidewire.publishing import AsyncPublisher, EventLimits
from tidewire.telemetry.metrics import create_metrics

from .core.access import Access
from .core.admission import Admission
from .core.problems import Problem
from .core.requests import RequestLimits
from .ingest import EventIngest
from .openapi import PROBLEM_SCHEMA, TOKEN_SECURITY
from .routes import Endpoints, Policy, problem_response
from .settings import PublisherSettings

__all__ = ["create_app"]

_SOURCE = "tidewire-publisher"
_HEADER_BYTES = 8 * 1024  # what key and headers may add to an event's data


def create_app(
    settings: PublisherSettings,
    *,
    streams: Mapping[str, Stream],
    verifier: TokenVerifier | None,
    writer: RecordWriter,
) -> FastAPI:
    """The service; its lifespan connects to Kafka and, at the end, flushes."""
    event_limits = EventLimits(max_event_bytes=settings.max_event_bytes + _HEADER_BYTES)
    ingest = EventIngest(
        AsyncPublisher(
            writer,
            streams,
            source=_SOURCE,
            limits=event_limits,
            place_timeout=settings.publish_timeout,
        ),
        publish_timeout=settings.publish_timeout,
        close_timeout=settings.shutdown_timeout,
    )
    endpoints = Endpoints(
        streams=streams,
        ingest=ingest,
        access=Access(verifier, is_dev=settings.dev),
        admission=Admission(max_bytes=settings.max_pending_bytes),
        policy=Policy(
            request=RequestLimits(
                settings.max_body_bytes, settings.max_event_bytes, settings.max_batch_events
            ),
            event=event_limits,
            body_timeout=settings.body_timeout,
            is_dev=settings.dev,
        ),
        metrics=create_metrics("publisher"),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await ingest.start()
        endpoints.is_ready = True
        try:
            yield
        finally:
            endpoints.is_ready = False
            await ingest.close()

    app = FastAPI(
        title="Tidewire publisher",
        summary="HTTP ingest for services without a Kafka client",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
    )
    app.include_router(endpoints.router())
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _internal_problem)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        problem = dict(PROBLEM_SCHEMA)
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {}).update(problem.pop("$defs", {}))
        components["schemas"]["ProblemDetails"] = problem
        components["securitySchemes"] = TOKEN_SECURITY
        app.openapi_schema = schema
    return app.openapi_schema


async def _http_problem(_request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    name = status.phrase.lower().replace(" ", "-")
    cure = "POST /v1/events/{stream} publishes; GET /openapi.json describes it"
    return problem_response(
        Problem(name, status, status.phrase, cure, headers=dict(error.headers or {}))
    )


async def _internal_problem(_request: Request, _error: Exception) -> Response:
    return problem_response(
        Problem(
            "internal",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Something is wrong here",
            "the publisher's log says what; the events may have been written or not",
        )
    )
