"""The composition root: settings and a store in, an ASGI application out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tidewire import __version__
from tidewire.config.explain import explain
from tidewire.http.answers import problem_response
from tidewire.http.health import Stage
from tidewire.http.internal_guard import InternalGuard
from tidewire.http.openapi_completed import operation_id
from tidewire.http.page_guard import PageGuard
from tidewire.http.serving import end_with
from tidewire.identity.internal_keys import InternalKeys
from tidewire.ingest.errors import FieldProblem
from tidewire.kafka.ports import RecordWriter
from tidewire.system.reporting import reported
from tidewire.system.rules import REGISTRY
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.telemetry.logging import get_logger
from tidewire.telemetry.metrics import create_metrics

from .core.problems import internal, invalid_request, unknown_path
from .endpoints import Endpoints
from .housekeeping import Housekeeping
from .instruments import Instruments
from .models import field_name
from .node_calls import NodeCalls
from .openapi import complete
from .reporting import RegistryObserver
from .routes import router_of
from .settings import PREFIX, RegistrySettings
from .stores.port import RegistryStore

__all__ = ["create_app"]

_log = get_logger("tidewire_registry.app")


def create_app(
    settings: RegistrySettings,
    *,
    store: RegistryStore,
    keys: InternalKeys | None = None,
    node_transport: httpx.AsyncBaseTransport | None = None,
    record_writer: RecordWriter | None = None,
    url: str = "",
) -> FastAPI:
    """The service; it owns ``store`` and closes it at the end; ``node_transport`` is how nodes are called.

    It tells the console how it is through ``record_writer``, its own then, and that it answers at ``url``; None: nobody is told.

    ``keys``: what it asks its callers for, and shows nodes; None: it asks for nothing. From ``state.drain()`` on it says that it drains. Should a task of its own end, it calls ``state.stop`` and leaves the error in
    ``state.failure``.
    """
    metrics = create_metrics("registry")
    instruments = Instruments(metrics, settings.slots)
    housekeeping = Housekeeping(store, instruments)
    node_calls = NodeCalls(store, instruments, settings.node_timeout, node_transport, keys=keys)
    endpoints = Endpoints(
        store,
        housekeeping=housekeeping,
        node_calls=node_calls,
        instruments=instruments,
        slots=settings.slots,
    )

    def drain() -> None:
        endpoints.stage = Stage.DRAINING

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            reported(
                "registry",
                settings.instance,
                url,
                writer=record_writer,
                observe=RegistryObserver(metrics, lambda: endpoints.stage).observe,
                rules=REGISTRY,
                metrics=metrics,
            ),
            serving(app),
        ):
            yield

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(housekeeping.run(), name="housekeeping")
        keeping.add_done_callback(lambda ended: end_with(app, ended))
        endpoints.stage = Stage.READY
        try:
            yield
        finally:
            drain()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await node_calls.close()
            await _close(store)

    app = FastAPI(
        title="Tidewire registry",
        summary="Who is connected where: node leases, slots, sessions",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    if keys is not None:
        app.add_middleware(InternalGuard, keys=keys, setting=f"{PREFIX}INTERNAL_KEY_FILE")
    app.add_middleware(PageGuard)
    app.state.stop = None
    app.state.failure = None
    app.state.drain = drain
    app.include_router(router_of(endpoints))
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _parameter_problem)
    app.add_exception_handler(Exception, _internal_problem)
    complete(app)
    return app


async def _close(store: RegistryStore) -> None:
    try:
        await store.close()
    except StoreUnavailableError as error:
        _log.warning("the store did not take the farewell", reason=str(error))


async def _http_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem_response(unknown_path(HTTPStatus(error.status_code), headers))


async def _parameter_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = tuple(
        FieldProblem(field_name(tuple(fault["loc"][1:])), explain(fault, (), {}))
        for fault in error.errors()
    )
    return problem_response(invalid_request(told))


async def _internal_problem(_request: Request, _error: Exception) -> Response:
    return problem_response(internal())
