"""Lets operators' browsers in, which cannot send the internal key: they log in, and keep a cookie."""

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tidewire.http.answers import problem_response
from tidewire.http.bodies import BodyTooLargeError, read_bounded
from tidewire.http.internal_guard import InternalGuard
from tidewire.http.problems import Problem
from tidewire.identity.internal_keys import InternalKeys
from tidewire.identity.internal_passes import LOGIN, SESSION, issue_pass, read_pass
from tidewire.telemetry.logging import get_logger

from ..plain_upgrade import PATH as SOCKET
from .follow_routes import PATH as FOLLOW
from .pages import PREFIX

__all__ = ["COOKIE", "LOGIN_PATH", "SESSION_TTL", "Door", "Logins", "read_page"]

COOKIE: Final = "tidewire_console"
LOGIN_PATH: Final = f"{PREFIX}/login"
SESSION_TTL: Final = 12 * 3600
"""Seconds."""

_OF_THE_PAGE: Final = frozenset(
    {f"{PREFIX}/js/login.js", f"{PREFIX}/css/login.css", f"{PREFIX}/icon.svg"}
)
"""What the page that asks for the key loads."""
_PAGE: Final = Path(__file__).with_name("static") / "login.html"
_WRONG: Final = b"<body data-refused>"
_MOST_BODY: Final = 4096
_MOST_LOGINS: Final = 1000
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # without any, the form would be sent with `Origin: null`
    "www-authenticate": 'Bearer realm="tidewire internal"',
    "x-content-type-options": "nosniff",
}
_TOO_LARGE: Final = Problem(
    "too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large",
    f"{_MOST_BODY} bytes are the most: send the internal key as the form's `key`",
)

_log = get_logger(__name__)


def read_page() -> bytes:
    """What a `Door` asks with. Blocks."""
    return _PAGE.read_bytes()


class Logins:
    """Who may open a session: by the key, or by a pass for a login, each pass once (pure).

    As many passes as may be used at a time are remembered until they are over; further ones are refused meanwhile.
    """

    def __init__(self, keys: InternalKeys) -> None:
        self._keys = keys
        self._used: dict[str, int] = {}

    def take(self, shown: str, now: float) -> bool:
        """``now`` in Unix seconds."""
        if self._keys.accepts(shown):
            return True
        login = read_pass(self._keys, LOGIN, shown, now)
        if login is None:
            return False
        self._used = {n: over_at for n, over_at in self._used.items() if now < over_at}
        if login.nonce in self._used or len(self._used) >= _MOST_LOGINS:
            return False
        self._used[login.nonce] = login.expires_at
        return True


class Door:
    """ASGI middleware, an `InternalGuard` for all that no browser asks for; behind a `PageGuard`.

    ``page`` asks for the key. The cookie opens the console's paths and nothing else: on one machine browsers show it at every port.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: InternalKeys,
        setting: str,
        page: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._guarded = InternalGuard(app, keys, setting)
        self._keys = keys
        self._logins = Logins(keys)
        self._clock = clock
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not _is_of_console(scope["path"]):
            await self._guarded(scope, receive, send)
        elif scope["path"] == LOGIN_PATH and _is_http(scope, "GET", "POST"):
            await (await self._login(scope, receive))(scope, receive, send)
        elif (scope["path"] in _OF_THE_PAGE and _is_http(scope, "GET")) or self._has_session(scope):
            await self._app(scope, receive, send)
        elif _shows_pages(scope):
            await self._ask()(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    def _has_session(self, scope: Scope) -> bool:
        shown = cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE, "")
        return read_pass(self._keys, SESSION, shown, self._clock()) is not None

    def _ask(
        self, status: HTTPStatus = HTTPStatus.UNAUTHORIZED, *, again: bool = False
    ) -> Response:
        page = self._page.replace(b"<body>", _WRONG, 1) if again else self._page
        return Response(page, status, _HEADERS, media_type="text/html")

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] == "GET":
            return self._ask(HTTPStatus.OK)
        shown = await _shown(Request(scope, receive))
        if shown is None:
            return problem_response(_TOO_LARGE)
        now = self._clock()
        if not self._logins.take(shown, now):
            client = scope.get("client")
            _log.warning("console login refused", client=client[0] if client else None)
            return self._ask(again=True)
        session = issue_pass(self._keys, SESSION, int(now) + SESSION_TTL, secrets.token_urlsafe(16))
        answer = Response(
            status_code=HTTPStatus.SEE_OTHER,
            headers={"location": f"{PREFIX}/", "cache-control": "no-store"},
        )
        answer.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_TTL,
            path="/",
            secure=scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer


async def _shown(request: Request) -> str | None:
    """The form's `key`, empty where there is none or who sends it has left; None for a body that is too large."""
    try:
        body = await read_bounded(request, _MOST_BODY)
    except BodyTooLargeError:
        return None
    except ClientDisconnect:
        return ""
    fields = parse_qs(body.decode("ascii", "replace"))
    return fields.get("key", [""])[0].strip()


def _is_of_console(path: str) -> bool:
    return path in {PREFIX, SOCKET, FOLLOW} or path.startswith(f"{PREFIX}/")


def _is_http(scope: Scope, *methods: str) -> bool:
    return scope["type"] == "http" and scope["method"] in methods


def _shows_pages(scope: Scope) -> bool:
    """Whether a browser that has no session asks for a page, and no program with a key of its own."""
    if not _is_http(scope, "GET"):
        return False
    headers = Headers(scope=scope)
    return "authorization" not in headers and "text/html" in headers.get("accept", "")
