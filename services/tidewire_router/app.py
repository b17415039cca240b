"""The internal port: health and metrics."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from tidewire import __version__
from tidewire.telemetry.metrics import Metrics

__all__ = ["create_app"]


def create_app(is_ready: Callable[[], bool], metrics: Metrics) -> FastAPI:
    """``is_ready``: started and not ending, whatever Kafka, Redis and the registry do meanwhile."""
    app = FastAPI(
        title="Tidewire router",
        summary="Health and metrics of a router",
        version=__version__,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
    )

    @app.get("/healthz", summary="The loop turns")
    async def healthz() -> Response:
        return _plain("ok")

    @app.get("/readyz", summary="Started and not shutting down")
    async def readyz() -> Response:
        if is_ready():
            return _plain("ready")
        return _plain("not ready", HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/metrics", include_in_schema=False)
    async def exposition(request: Request) -> Response:
        text, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    return app


def _plain(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(text + "\n", status_code=int(status), media_type="text/plain")
