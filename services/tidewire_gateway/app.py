"""Composition root of a gateway node: its public and its internal application."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles

from tidewire import __version__
from tidewire.config.streams_file import load_streams
from tidewire.identity.keys import load_key
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.ports import RecordReader, TopicAdmin
from tidewire.telemetry.metrics import create_metrics

from .core.history import History
from .daemon_call import call_in_daemon_thread
from .endpoint import make_router
from .instruments import Instruments
from .node import Node
from .settings import GatewaySettings

__all__ = ["Clients", "create_app", "create_internal_app"]

_CLOSE_TIMEOUT = 1.0
_GENERATION_0 = 50_000
"""Allocations between two young collections: handshakes make few cycles, and a pass costs all of them."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The Kafka clients that a node uses; made when it starts."""

    reader: Callable[[], RecordReader]
    admin: Callable[[], TopicAdmin]


def create_app(settings: GatewaySettings, clients: Clients) -> FastAPI:
    """The public application. Raises ``ConfigError`` for streams, keys or folders that cannot be used."""
    streams = load_streams(settings.streams).streams
    key_file = settings.token_key_file
    verifier = None if key_file is None else TokenVerifier(load_key(key_file))
    instruments = Instruments(create_metrics("gateway"))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        admin = clients.admin()
        node = Node(
            settings.node,
            streams,
            reader=clients.reader(),
            admin=admin,
            verifier=verifier,
            limits=settings.limits.to_limits(),
            history=History(
                log_window=settings.log_window,
                tombstone_ttl=settings.tombstone_ttl,
                max_bytes=settings.log_bytes,
            ),
            linger=settings.linger,
            instruments=instruments,
        )
        app.state.node = node
        app.include_router(make_router(node))
        _serve_files(app, settings)
        task = asyncio.create_task(node.run())
        task.add_done_callback(lambda done: _note_failure(app, done))
        _quieten_collector()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await call_in_daemon_thread(admin.close)

    app = FastAPI(title="Tidewire gateway", version=__version__, lifespan=lifespan)
    app.state.instruments = instruments
    app.state.failure = None
    app.state.on_failure = None
    return app


def create_internal_app(public: FastAPI) -> FastAPI:
    """Health and metrics, for the internal port."""
    app = FastAPI(title="Tidewire gateway, internal", version=__version__)
    metrics = public.state.instruments.metrics

    @app.get("/healthz", summary="The event loop turns")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz", summary="Started; says nothing of Kafka, whose outage concerns all nodes alike"
    )
    async def readyz(response: Response) -> dict[str, str]:
        if getattr(public.state, "node", None) is None:
            response.status_code = 503
            return {"status": "starting"}
        return {"status": "ready"}

    @app.get("/metrics", summary="Prometheus exposition")
    def exposition(request: Request) -> Response:  # in a thread: it reads /proc
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    return app


def _note_failure(app: FastAPI, task: asyncio.Task[None]) -> None:
    """A bug in one of the node's tasks ends the process; clients resume on another node."""
    if task.cancelled() or task.exception() is None:
        return
    app.state.failure = task.exception()
    if app.state.on_failure is not None:
        app.state.on_failure()


def _serve_files(app: FastAPI, settings: GatewaySettings) -> None:
    for prefix, folder in sorted(settings.static.items(), key=lambda item: -len(item[0])):
        app.mount(prefix, StaticFiles(directory=folder, html=True), name=f"static {prefix}")


def _quieten_collector() -> None:
    """What lives since the start is never garbage: keep the collector away from it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GENERATION_0, 20, 20)
