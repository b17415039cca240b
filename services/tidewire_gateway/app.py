"""Composition root of a gateway node: its public and its internal application."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from tidewire import __version__
from tidewire.config.streams_file import load_streams
from tidewire.http.page_guard import PageGuard
from tidewire.identity.keys import load_key
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.ports import RecordReader, RecordWriter, TopicAdmin
from tidewire.telemetry.metrics import create_metrics
from tidewire.telemetry.tracing import Tracing, configure_tracing, span_counter

from .console.compose import Console
from .core.history import History
from .daemon_call import call_in_daemon_thread
from .drain import Drain
from .endpoint import make_route
from .instruments import Instruments
from .node import Node
from .routes import make_one_off_router
from .served_files import mounts_of
from .settings import GatewaySettings
from .targeted.routes import make_internal_router
from .targeted.service import Targeted, TargetedParts
from .traces import EventTraces

if TYPE_CHECKING:  # it loads the SDK, which is there only where there are traces
    from tidewire.telemetry.late_spans import SpanBook

__all__ = ["Clients", "create_app", "create_internal_app"]

_CLOSE_TIMEOUT = 1.0
_GENERATION_0 = 50_000
"""Allocations between two young collections: handshakes make few cycles, and a pass costs all of them."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients that a node uses; made when it starts.

    ``targeted`` is given the URL of the node's internal port; None where there are no messages to users. ``writer`` is
    asked for where the console is on.
    """

    reader: Callable[[], RecordReader]
    admin: Callable[[], TopicAdmin]
    targeted: Callable[[str], TargetedParts] | None = None
    writer: Callable[[], RecordWriter] | None = None


def create_app(settings: GatewaySettings, clients: Clients) -> FastAPI:
    """The public application. Raises ``ConfigError`` for streams, keys or folders that cannot be used."""
    streams = load_streams(settings.streams).streams
    key_file = settings.token_key_file
    verifier = None if key_file is None else TokenVerifier(load_key(key_file))
    served = mounts_of(settings.static)
    instruments = Instruments(create_metrics("gateway"))
    on_spans = span_counter(instruments.metrics)
    tracing = configure_tracing("gateway", settings.node, on_spans=on_spans)
    console = _console(settings, clients, instruments)
    spans = None if tracing is None else tracing.book()
    traces = _event_traces(settings, spans, console, instruments)
    if console is not None:
        streams = {**streams, **console.streams}

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        admin = clients.admin()
        node = Node(
            settings.node,
            streams,
            make_reader=clients.reader,
            admin=admin,
            verifier=verifier,
            limits=settings.limits.to_limits(),
            history=History(
                log_window=settings.log_window,
                tombstone_ttl=settings.tombstone_ttl,
                max_bytes=settings.log_bytes,
            ),
            linger=settings.linger,
            topic_poll_interval=settings.topic_poll_interval,
            instruments=instruments,
            targeted=None if clients.targeted is None else clients.targeted(app.state.internal_url),
            traces=traces,
        )
        app.state.node = node
        app.router.routes.append(make_route(node))
        app.include_router(make_one_off_router(node.one_off, node.verify, instruments))
        app.router.routes.extend(served)
        drain = Drain(
            node,
            delay=settings.drain_delay,
            window=settings.drain_window,
            on_moving=lambda: _call(app.state.stop_listening),
        )
        app.state.drain = drain
        if console is not None:
            assert traces is not None
            console.begin(node, traces, streams, app.state.internal_url)
        tasks = [asyncio.create_task(node.run()), asyncio.create_task(drain.run())]
        for task in tasks:
            task.add_done_callback(lambda done: _stop(app, done))
        _begin_spans(spans)
        _quieten_collector()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # All of them, whatever becomes of one.
            async with contextlib.AsyncExitStack() as ending:
                ending.push_async_callback(_end_traces, tracing, spans)
                ending.push_async_callback(_close, admin.close)
                if console is not None:
                    ending.push_async_callback(console.end)

    app = FastAPI(
        title="Tidewire gateway",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.instruments = instruments
    app.state.node = None
    app.state.failure = None
    app.state.stop = None
    app.state.stop_listening = None
    app.state.internal_url = ""
    app.state.drain = None
    app.state.console = console
    return app


def create_internal_app(public: FastAPI) -> FastAPI:
    """Health, metrics, drain and, where it is on, the console, for the internal port."""
    app = FastAPI(
        title="Tidewire gateway, internal", version=__version__, docs_url=None, redoc_url=None
    )
    metrics = public.state.instruments.metrics
    console: Console | None = public.state.console
    app.add_middleware(PageGuard, hosts=None if console is None else console.hosts)

    _add_health(app, public)

    @app.post(
        "/internal/drain",
        status_code=202,
        summary="Move all clients elsewhere, then end",
        responses={200: {"description": "It drains already"}, 503: {"description": "Not started"}},
    )
    async def begin_drain(response: Response) -> dict[str, Any]:
        drain: Drain | None = public.state.drain
        if drain is None:
            return dict(_answer(response, "starting"))
        if not drain.begin():
            response.status_code = 200
        plan = drain.plan()
        return {
            "status": "draining",
            "connections": plan.connections,
            "delay_ms": round(plan.delay * 1000),
            "window_ms": round(plan.window * 1000),
        }

    app.include_router(make_internal_router(lambda: _targeted(public.state.node)))

    @app.get("/metrics", summary="Prometheus exposition")
    def exposition(request: Request) -> Response:  # in a thread: it reads /proc
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    if console is not None:
        console.serve_on(app)
    return app


def _add_health(app: FastAPI, public: FastAPI) -> None:
    @app.get("/healthz", summary="The event loop turns")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/startupz", summary="Started")
    async def startupz(response: Response) -> dict[str, str]:
        return _answer(response, "starting" if public.state.node is None else "started")

    @app.get(
        "/readyz",
        summary="Started, not draining, not overloaded; nothing of Kafka, whose outage concerns all nodes alike",
    )
    async def readyz(response: Response) -> dict[str, str]:
        return _answer(response, _readiness(public.state.node))


def _console(
    settings: GatewaySettings, clients: Clients, instruments: Instruments
) -> Console | None:
    if not settings.console:
        return None
    assert clients.writer is not None
    return Console(settings, clients.writer(), instruments.metrics)


def _event_traces(
    settings: GatewaySettings,
    spans: "SpanBook | None",
    console: Console | None,
    instruments: Instruments,
) -> EventTraces | None:
    """None where nobody wants to know what becomes of sampled events."""
    if spans is None and console is None:
        return None
    return EventTraces(
        spans=spans,
        flows=None if console is None else console.flows.offer,
        most_per_second=settings.trace_limit,
        node=settings.node,
        instruments=instruments,
    )


def _begin_spans(spans: "SpanBook | None") -> None:
    if spans is not None:
        spans.run_on(asyncio.get_running_loop())


async def _end_traces(tracing: Tracing | None, spans: "SpanBook | None") -> None:
    if tracing is not None and spans is not None:
        spans.close()
        await _close(tracing.close)


async def _close(close: Callable[[], None]) -> None:
    """What may wait for others to answer is not waited for for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await call_in_daemon_thread(close)


def _targeted(node: Node | None) -> Targeted | None:
    return None if node is None else node.targeted


def _readiness(node: Node | None) -> str:
    if node is None:
        return "starting"
    if node.is_draining:
        return "draining"
    return "ready" if node.overload() is None else "overloaded"


def _answer(response: Response, status: str) -> dict[str, str]:
    if status not in {"started", "ready"}:
        response.status_code = 503
    return {"status": status}


def _stop(app: FastAPI, task: asyncio.Task[None]) -> None:
    """The node has drained, or one of its tasks has failed by a bug: the process ends either way."""
    if task.cancelled():
        return
    app.state.failure = app.state.failure or task.exception()
    _call(app.state.stop)


def _call(callback: Callable[[], None] | None) -> None:
    if callback is not None:
        callback()


def _quieten_collector() -> None:
    """What lives since the start is never garbage: keep the collector away from it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GENERATION_0, 20, 20)
