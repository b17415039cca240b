"""Keeps pages of other sites, which a browser on the inside shows, from using a port that asks nobody for a token."""

import ipaddress
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from .answers import problem_response
from .problems import Problem

__all__ = [
    "FOREIGN_HOST",
    "FOREIGN_PAGE",
    "PageGuard",
    "host_of_url",
    "is_foreign_page",
    "is_known",
]

FOREIGN_PAGE: Final = Problem(
    "foreign-page",
    HTTPStatus.FORBIDDEN,
    "Pages of other sites have no business here",
    "ask from a page that this port serves, or from a program: those name no Origin",
)
FOREIGN_HOST: Final = Problem(
    "foreign-host",
    HTTPStatus.FORBIDDEN,
    "This port does not go by that name",
    "ask it by its IP address or as localhost; further names stand in TIDEWIRE_GATEWAY__CONSOLE_HOSTS",
)
_SAFE: Final = frozenset({"GET", "HEAD"})


class PageGuard:
    """ASGI middleware: answers 403 instead of ``app`` where a request is another site's.

    That is anything but GET and HEAD, and any WebSocket, whose `Origin` is not the host that was asked. Where a page's
    site may have its name point here once it is loaded (DNS rebinding), the two agree: so a `Host` is refused, too, that
    is neither an IP address nor ``localhost`` nor one of ``hosts``. ``hosts`` None: any will do.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(map(_plain, hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(problem_response(refusal))
        else:
            await problem_response(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._hosts is not None and not is_known(headers.get("host"), self._hosts):
            return FOREIGN_HOST
        is_safe = scope["type"] == "http" and scope["method"] in _SAFE
        return None if is_safe or not is_foreign_page(headers) else FOREIGN_PAGE


def is_foreign_page(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site asks, by the hand of an operator's browser. Programs name no origin."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def is_known(host: str | None, hosts: Collection[str]) -> bool:
    """Whether a `Host` header, or none, is no name that another site could have pointed here.

    ``hosts`` are further names: in lower case, without a port.
    """
    if host is None:
        return True  # no browser leaves it out
    name = _without_port(host)
    return name == "localhost" or name in hosts or _is_address(name)


def host_of_url(url: str) -> str:
    """The host that a URL names, in lower case and without its port; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return _plain(host.partition(":")[0])


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
