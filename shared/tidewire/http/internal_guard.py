"""Asks for the internal key on a port that is for other services and operators alone."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ..identity.internal_keys import InternalKeys
from ..telemetry.logging import get_logger
from .answers import problem_response
from .bearer import bearer_token
from .problems import Problem

__all__ = ["OPEN_PATHS", "InternalGuard", "refuse"]

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/startupz", "/metrics"})
"""For platforms and Prometheus, which have no key. They tell figures, and change nothing."""

_REALM: Final = 'Bearer realm="tidewire internal"'
_TITLE: Final = "The internal key is needed"

_log = get_logger(__name__)


class InternalGuard:
    """ASGI middleware: answers 401 instead of ``app`` where `Authorization: Bearer <key>` is not there or not right.

    That holds for WebSockets as well. ``setting`` is the service's, for who has to mend it.
    """

    def __init__(self, app: ASGIApp, keys: InternalKeys, setting: str) -> None:
        self._app = app
        self._keys = keys
        self._missing = _problem(
            "internal-key-missing",
            "send `Authorization: Bearer <key>` with a key of the file that this service's "
            f"{setting} names: other services have it by their own INTERNAL_KEY_FILE, commands by --internal-key-file",
            _REALM,
        )
        self._wrong = _problem(
            "internal-key-wrong",
            f"the key is none of those in the file that this service's {setting} names: give all services the "
            "same file, and keep the old key as its second line until all have the new one",
            f'{_REALM}, error="invalid_token"',
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = None if _is_open(scope) else self._refusal(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            _tell(scope, problem)
            await refuse(problem_response(problem), scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        shown = bearer_token(Headers(scope=scope).get("authorization"))
        if shown is None:
            return self._missing
        return None if self._keys.accepts(shown) else self._wrong


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or a handshake, which stays HTTP then."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    if scope["type"] == "lifespan":
        return True
    return scope["type"] == "http" and scope["path"] in OPEN_PATHS


def _tell(scope: Scope, problem: Problem) -> None:
    client = scope.get("client")
    _log.warning(
        "refused without the internal key", kind=problem.kind, client=client[0] if client else None
    )


def _problem(kind: str, detail: str, challenge: str) -> Problem:
    return Problem(
        kind,
        HTTPStatus.UNAUTHORIZED,
        _TITLE,
        detail,
        headers={"WWW-Authenticate": challenge},
    )
