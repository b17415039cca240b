"""The public WebSocket route: judge the handshake, accept it, have it adopted."""

import math
import random
import time
from typing import Final, cast

from fastapi import WebSocket
from starlette.datastructures import Headers, QueryParams
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from tidewire.http.answers import problem_response
from tidewire.http.bearer import bearer_token, is_token_in_query
from tidewire.http.problems import Problem
from tidewire.protocol.codes import SUBPROTOCOL
from tidewire.telemetry.logging import get_logger

from .adoptable import EXTENSION, Adoptable
from .connection import Connection
from .core.admission import Overload
from .core.client_address import TrustedProxies, group_of
from .core.handshake_problems import (
    FOREIGN_ORIGIN,
    OTHER_SUBPROTOCOL,
    TOKEN_IN_QUERY,
    limited,
    overloaded,
)
from .core.limits import Limit
from .core.origins import Origins
from .node import Node
from .plain_upgrade import PATH

__all__ = ["make_route"]

_BEARER_SUBPROTOCOL = "tidewire.bearer."
_OVERLOAD_SPREAD: Final = 5.0
"""Seconds; who was refused together does not come back together."""
_TELL_INTERVAL: Final = 1.0
_BUSY: Final = frozenset({Overload.HANDSHAKES, Overload.LOOP})
"""What a crowd does to a node: those whom it then refuses would be the next one."""
_UNKNOWN = "unknown"

_log = get_logger(__name__)


def make_route(node: Node, origins: Origins, proxies: TrustedProxies) -> WebSocketRoute:
    """The public route: a plain one of Starlette's, since nothing needs to be injected into it."""
    return WebSocketRoute(PATH, _Entrance(node, origins, proxies))


class _Entrance:
    """ASGI application of the public route."""

    def __init__(self, node: Node, origins: Origins, proxies: TrustedProxies) -> None:
        self._node = node
        self._origins = origins
        self._proxies = proxies
        self._tells_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        node = self._node
        headers = Headers(scope=scope)
        address = self._address(scope, headers)
        problem = _fault(scope) or self._problem(headers, address)
        if problem is not None:
            node.instruments.handshake(problem.outcome)
            await WebSocket(scope, receive, send).send_denial_response(problem_response(problem))
            return
        offered = scope["subprotocols"]
        token = _token(headers, offered)
        await receive()  # websocket.connect
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
                "headers": (),
            }
        )
        protocol = cast(Adoptable, scope["extensions"][EXTENSION])
        protocol.adopt(lambda adopted: Connection(adopted, node, token, address))

    def _address(self, scope: Scope, headers: Headers) -> str:
        """Whose limits the client has."""
        peer = scope["client"]
        if peer is None:
            return _UNKNOWN
        return group_of(self._proxies.client_of(peer[0], headers.getlist("x-forwarded-for")))

    def _problem(self, headers: Headers, address: str) -> Problem | None:
        """Why this handshake is not accepted now, if so."""
        node = self._node
        if not self._origins.allow(headers.getlist("origin"), headers.getlist("host")):
            return FOREIGN_ORIGIN
        overload = node.overload()
        if overload is not None:
            wait = node.turn() if overload in _BUSY else 0.0
            return overloaded(overload, _retry_after(wait, _OVERLOAD_SPREAD))
        refused = node.refuse(address)
        if refused is None:
            return None
        retry_after = _retry_after(refused.wait, refused.spread)
        if isinstance(refused.reason, Overload):
            return overloaded(refused.reason, retry_after)
        self._tell(address, refused.reason)
        return limited(refused.reason, retry_after)

    def _tell(self, address: str, limit: Limit) -> None:
        """A line now and then: who floods a node would make it write them."""
        now = time.monotonic()
        if now >= self._tells_at:
            self._tells_at = now + _TELL_INTERVAL
            _log.warning("an address is at its limit", address=address, limit=limit.value)


def _fault(scope: Scope) -> Problem | None:
    """Why the handshake cannot be accepted, if so."""
    if scope["query_string"] and is_token_in_query(QueryParams(scope["query_string"])):
        return TOKEN_IN_QUERY
    offered = scope["subprotocols"]
    return OTHER_SUBPROTOCOL if offered and SUBPROTOCOL not in offered else None


def _token(headers: Headers, offered: list[str]) -> str | None:
    token = bearer_token(headers.get("authorization"))
    if token is not None:
        return token
    for subprotocol in offered:
        if subprotocol.startswith(_BEARER_SUBPROTOCOL):
            return subprotocol.removeprefix(_BEARER_SUBPROTOCOL)
    return None


def _retry_after(wait: float, spread: float) -> int:
    return max(1, math.ceil(wait + random.uniform(0, spread)))  # noqa: S311 - jitter
