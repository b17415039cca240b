"""The application of a node's internal port: health, metrics, drain, messages for users, the console."""

from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect

from tidewire import __version__
from tidewire.http.answers import client_gone
from tidewire.http.internal_guard import InternalGuard
from tidewire.http.openapi_completed import operation_id
from tidewire.http.page_guard import PageGuard
from tidewire.identity.internal_keys import InternalKeys

from .console.compose import Console
from .drain import Drain
from .node import Node
from .openapi_examples import complete_internal
from .settings import PREFIX
from .targeted.routes import make_internal_router
from .targeted.service import Targeted

__all__ = ["create_internal_app"]

_NOT_NOW: Final[dict[int | str, dict[str, Any]]] = {503: {"description": "Not now"}}


def create_internal_app(public: FastAPI) -> FastAPI:
    """Health, metrics, drain and, where it is on, the console, for the internal port."""
    app = FastAPI(
        title="Tidewire gateway, internal",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    complete_internal(app)
    app.add_exception_handler(ClientDisconnect, client_gone)
    metrics = public.state.instruments.metrics
    console: Console | None = public.state.console
    _ask_for_key(app, public)
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

    @app.get("/metrics", summary="Prometheus exposition", response_class=PlainTextResponse)
    def exposition(request: Request) -> Response:  # in a thread: it reads /proc
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    if console is not None:
        console.serve_on(app)
    return app


def _ask_for_key(app: FastAPI, public: FastAPI) -> None:
    """Where there is one."""
    keys: InternalKeys | None = public.state.internal_keys
    console: Console | None = public.state.console
    setting = f"{PREFIX}INTERNAL_KEY_FILE"
    if keys is None:
        return
    if console is None:
        app.add_middleware(InternalGuard, keys=keys, setting=setting)
    else:
        console.guard(app, keys, setting)


def _add_health(app: FastAPI, public: FastAPI) -> None:
    @app.get("/healthz", summary="The event loop turns")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/startupz", summary="Started", responses=_NOT_NOW)
    async def startupz(response: Response) -> dict[str, str]:
        return _answer(response, "starting" if public.state.node is None else "started")

    @app.get(
        "/readyz",
        summary="Started, not draining, not overloaded; nothing of Kafka, whose outage concerns all nodes alike",
        responses=_NOT_NOW,
    )
    async def readyz(response: Response) -> dict[str, str]:
        return _answer(response, _readiness(public.state.node))


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
