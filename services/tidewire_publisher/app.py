"""The composition root: settings and a writer in, an ASGI application out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from httpx import AsyncBaseTransport, AsyncClient, Limits
from opentelemetry.trace import Tracer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tidewire import __version__
from tidewire.config.streams import Stream
from tidewire.http.answers import client_gone, problem_response
from tidewire.http.openapi_completed import complete, operation_id
from tidewire.http.serving import end_with
from tidewire.http.token_check import KeyFetching, RefusedTokens, Verification
from tidewire.identity.internal_keys import InternalKeys, headers_of
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.ports import RecordReader, RecordWriter
from tidewire.publishing import AsyncPublisher, EventLimits
from tidewire.publishing.sending import Sends
from tidewire.revocation.reading import RevocationReader
from tidewire.system.reporting import reported
from tidewire.system.rules import PUBLISHER
from tidewire.targeting.registry import Registry
from tidewire.telemetry.metrics import Metrics, create_metrics

from .beginning import Beginning
from .body import Intake
from .core.access import Access
from .core.admission import Admission
from .core.problems import Problem
from .core.requests import RequestLimits
from .ingest import EventIngest
from .key_fetching import kept_fetched
from .openapi import TOKEN_SECURITY, ProblemDetails
from .openapi_examples import ANSWERS, PROBLEMS
from .push_endpoint import PushEndpoint
from .pusher import MAX_CALLS, Pusher
from .reporting import PublisherObserver
from .routes import Endpoints, Policy
from .settings import PublisherSettings

__all__ = ["create_app"]

_SOURCE = "tidewire-publisher"
_HEADER_BYTES = 8 * 1024  # what key and headers may add to an event's data


def create_app(
    settings: PublisherSettings,
    *,
    streams: Mapping[str, Stream],
    verifier: TokenVerifier | None,
    fetching: KeyFetching | None = None,
    writer: RecordWriter,
    revocation_reader: RecordReader | None = None,
    registry: Registry | None = None,
    internal_keys: InternalKeys | None = None,
    node_transport: AsyncBaseTransport | None = None,
    metrics: Metrics | None = None,
    tracer: Tracer | None = None,
    record_writer: RecordWriter | None = None,
    url: str = "",
) -> FastAPI:
    """The service; its lifespan connects to Kafka and, at the end, flushes and closes what it was given.

    Without a ``registry`` pushes are refused. ``node_transport`` is how nodes are called; None: HTTP. ``internal_keys``: what they
    ask for. ``metrics`` None:
    the application's own. ``tracer`` makes the spans of what is published and pushed. Through ``record_writer``, its own then,
    it tells the console how it is, and that it answers at ``url``; None: nobody is told.

    ``fetching`` keeps the keys of ``verifier`` up to date; None: they stay as they are.
    Through ``revocation_reader``, its own then, it learns which tokens are good no longer; None: all of them stay good.

    It listens at once; ``state.started`` is set when the first attempt to reach Kafka has ended and that is known, and from ``state.drain()`` on it
    says that it drains. Should its connecting break, it calls ``state.stop`` and leaves the error in ``state.failure``.
    """
    metrics = create_metrics("publisher") if metrics is None else metrics
    requests = RequestLimits(
        settings.max_body_bytes, settings.max_event_bytes, settings.max_batch_events
    )
    event_limits = EventLimits(max_event_bytes=settings.max_event_bytes + _HEADER_BYTES)
    ingest = EventIngest(
        AsyncPublisher(
            writer,
            streams,
            source=_SOURCE,
            targeted_topic=settings.targeted_topic,
            limits=event_limits,
            place_timeout=settings.publish_timeout,
            tracer=tracer,
        ),
        publish_timeout=settings.publish_timeout,
        close_timeout=settings.shutdown_timeout,
    )
    revocations = None
    if revocation_reader is not None:
        revocations = RevocationReader(
            revocation_reader,
            settings.revocations_topic,
            poll_interval=settings.topic_poll_interval,
            metrics=metrics,
        )
    verify = None
    if verifier is not None:
        verify = Verification(verifier.verify, revocations, RefusedTokens(metrics)).verify
    access = Access(verify, is_dev=settings.dev)
    intake = Intake(
        Admission(max_bytes=settings.max_pending_bytes),
        max_bytes=settings.max_body_bytes,
        timeout=settings.body_timeout,
    )
    endpoints = Endpoints(
        streams=streams,
        ingest=ingest,
        access=access,
        intake=intake,
        policy=Policy(request=requests, event=event_limits, is_dev=settings.dev),
        metrics=metrics,
    )
    beginning = Beginning(endpoints.begin, revocations)
    pusher = _pusher(settings, registry, node_transport, metrics, internal_keys)
    pushes = PushEndpoint(
        source=_SOURCE,
        pusher=pusher,
        access=access,
        intake=intake,
        requests=requests,
        events=event_limits,
        metrics=metrics,
        sends=Sends(tracer),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            reported(
                "publisher",
                settings.instance,
                url,
                writer=record_writer,
                observe=PublisherObserver(metrics, lambda: endpoints.stage).observe,
                rules=PUBLISHER,
                metrics=metrics,
            ),
            kept_fetched(fetching, partial(_connected, app)),
            beginning.followed(partial(_connected, app)),
            serving(app),
        ):
            yield

    @asynccontextmanager
    async def serving(_app: FastAPI) -> AsyncIterator[None]:
        connecting = ingest.start(beginning.tried)
        connecting.add_done_callback(partial(_connected, app))
        try:
            yield
        finally:
            endpoints.drain()
            try:
                await ingest.close()
            finally:
                if pusher is not None:
                    await pusher.close()

    app = FastAPI(
        title="Tidewire publisher",
        summary="HTTP ingest for services without a Kafka client",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.stop = None
    app.state.failure = None
    app.state.started = endpoints.begun
    app.state.drain = endpoints.drain
    app.include_router(endpoints.router())
    app.include_router(pushes.router())
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(ClientDisconnect, client_gone)
    app.add_exception_handler(Exception, _internal_problem)
    complete(
        app,
        problems=PROBLEMS,
        answers=ANSWERS,
        models=(ProblemDetails,),
        security=TOKEN_SECURITY,
    )
    return app


def _connected(app: FastAPI, ended: "asyncio.Task[None]") -> None:
    if not ended.cancelled() and ended.exception() is not None:
        end_with(app, ended)


def _pusher(
    settings: PublisherSettings,
    registry: Registry | None,
    transport: AsyncBaseTransport | None,
    metrics: Metrics,
    keys: InternalKeys | None,
) -> Pusher | None:
    if registry is None:
        return None
    nodes = AsyncClient(
        headers=headers_of(keys),
        transport=transport,
        limits=Limits(max_connections=MAX_CALLS),
        timeout=settings.push_timeout,
        trust_env=False,  # nodes are neighbours: no proxy stands between
    )
    return Pusher(registry, nodes, timeout=settings.push_timeout, metrics=metrics)


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
