"""Pages of other origins that read a channel once: told that they may, or refused (CORS)."""

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidewire.http.answers import problem_response

from .core.handshake_problems import FOREIGN_ORIGIN
from .core.origins import Origins

__all__ = ["CrossOrigin"]

_PATH: Final = "/v1/channels/"
_VARY: Final = {"Vary": "Origin"}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization, If-None-Match",
    "Access-Control-Max-Age": "600",
    "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
}
_EXPOSED: Final = "ETag, Retry-After, Tidewire-State, Tidewire-Stale-Ms"


class CrossOrigin:
    """ASGI middleware around the public application; ``on_refused`` is told how a read was refused.

    Tokens travel in a header that a page sets by itself, and no cookie means anything here: so credentials are not allowed.
    """

    def __init__(self, app: ASGIApp, origins: Origins, on_refused: Callable[[str], None]) -> None:
        self._app = app
        self._origins = origins
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATH):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        if not self._origins.allow(origins, headers.getlist("host")):
            self._on_refused(FOREIGN_ORIGIN.outcome)
            await problem_response(FOREIGN_ORIGIN, headers=_VARY)(scope, receive, send)
            return
        origin = origins[0] if origins else None
        if origin and _is_preflight(scope, headers):
            allowed = {"Access-Control-Allow-Origin": origin, **_PREFLIGHT}
            await Response(status_code=204, headers=allowed)(scope, receive, send)
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if origin:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, send_allowed)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers
