"""The internal port: health and metrics."""

from collections.abc import Callable

from fastapi import FastAPI, Request, Response

from tidewire import __version__
from tidewire.http.health import HEALTH_EXAMPLES, Stage, health_router
from tidewire.http.internal_guard import InternalGuard
from tidewire.http.openapi_completed import complete, operation_id
from tidewire.identity.internal_keys import InternalKeys
from tidewire.telemetry.metrics import Metrics

from .settings import PREFIX

__all__ = ["create_app"]


def create_app(
    stage: Callable[[], Stage], metrics: Metrics, keys: InternalKeys | None = None
) -> FastAPI:
    """``stage``: of the router, which has started once it has found its topic, its mailboxes and its group.

    ``keys``: what is asked for beside health and metrics; None: nothing is.
    """
    app = FastAPI(
        title="Tidewire router",
        summary="Health and metrics of a router",
        version=__version__,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )

    if keys is not None:
        app.add_middleware(InternalGuard, keys=keys, setting=f"{PREFIX}INTERNAL_KEY_FILE")
    app.include_router(health_router(stage))

    @app.get("/metrics", include_in_schema=False)
    async def exposition(request: Request) -> Response:
        text, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    complete(app, problems={}, answers=HEALTH_EXAMPLES)
    return app
