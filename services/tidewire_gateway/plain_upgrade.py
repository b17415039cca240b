"""The ordinary upgrade of the public route, answered without uvicorn's WebSocket side.

Nearly every handshake is one. What is unusual about a request, and what the endpoint refuses, is left to uvicorn
and `websockets`; the frames are parsed by `websockets` either way.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from websockets.protocol import Protocol as FrameProtocol
from websockets.protocol import Side

from .adoptable import INTERNAL_ERROR, AdoptableProtocol, logger, run_endpoint
from .adopted import AdoptedWebSocket, Adopter

__all__ = ["PATH", "PlainRequest", "PlainUpgrade", "plain_request"]

PATH: Final = "/v1/ws"
"""Of the public route; it refuses a connection or has it adopted, and does nothing else with it."""

_RAW_PATH: Final = PATH.encode()
_MOST_BYTES = 8000
_MOST_HEADERS = 100
"""`websockets` refuses little more than these."""
_OF_A_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
_CONNECTIONS: Final = frozenset({b"upgrade", b"keep-alive, upgrade"})
"""What browsers and libraries send."""
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""16 bytes in base64."""
_TOKENS: Final = re.compile(rb"[\w!#$%&'*+.^`|~-]+(?:, ?[\w!#$%&'*+.^`|~-]+)*")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
)


class PlainRequest(NamedTuple):
    """What an upgrade asks for; ``key`` is its ``Sec-WebSocket-Key``."""

    key: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    subprotocols: list[str]


def plain_request(
    method: str, version: str, url: bytes, headers: list[tuple[bytes, bytes]]
) -> PlainRequest | None:
    """An upgrade of the public route that satisfies RFC 6455 (4.2.1) in the usual words; None for any other.

    ``headers`` have lower-case names.
    """
    path, _, query = url.partition(b"?")
    if path != _RAW_PATH or method != "GET" or version != "1.1":
        return None
    if not _is_plain(url, headers):
        return None
    by_name = dict(headers)
    key = by_name.get(b"sec-websocket-key", b"")
    offered = by_name.get(b"sec-websocket-protocol")
    is_valid = (
        len(by_name) == len(headers)  # no name twice
        and by_name.get(b"upgrade", b"").lower() == b"websocket"
        and by_name.get(b"connection", b"").lower() in _CONNECTIONS
        and by_name.get(b"sec-websocket-version") == b"13"
        and _KEY.fullmatch(key)
        and (offered is None or _TOKENS.fullmatch(offered))
        and _OF_A_BODY.isdisjoint(by_name)
    )
    if not is_valid:
        return None
    subprotocols = [] if offered is None else offered.decode("ascii").replace(" ", "").split(",")
    return PlainRequest(key, query, headers, subprotocols)


def _is_plain(url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether this is far from the library's limits, printable ASCII, and has no space before the end of a line."""
    text = b" ".join([url, *chain.from_iterable(headers), b""])
    return (
        len(text) <= _MOST_BYTES
        and len(headers) <= _MOST_HEADERS
        and text.isascii()
        and text.decode("ascii").isprintable()
        and b"  " not in text
    )


class PlainUpgrade(asyncio.Protocol):
    """Takes ``http``'s place from its request until the endpoint has the connection adopted, or refuses it."""

    __slots__ = (
        "_connections",
        "_early",
        "_http",
        "_is_accepted",
        "_is_connect_told",
        "_is_lost",
        "_key",
        "_refusal",
        "_scope",
        "adopted",
        "transport",
    )

    def __init__(self, http: HttpToolsProtocol, request: PlainRequest, early: bytes) -> None:
        """``early`` are the bytes behind the request."""
        self.adopted: AdoptedWebSocket | None = None
        self.transport = http.transport
        self._http = http
        self._connections = cast(set[asyncio.Protocol], http.connections)
        self._key = request.key
        self._early = early
        self._is_connect_told = self._is_accepted = self._is_lost = False
        self._refusal: AdoptableProtocol | None = None
        self._scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": http.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if http.scheme == "https" else "ws",
            "server": http.server,
            "client": http.client,
            "root_path": http.root_path,
            "path": http.root_path + PATH,
            "raw_path": http.root_path.encode("ascii") + _RAW_PATH,
            "query_string": request.query,
            "headers": request.headers,
            "subprotocols": request.subprotocols,
            "state": http.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    def begin(self) -> None:
        """Ask the application."""
        http = self._http
        self._connections.discard(http)
        self._connections.add(self)
        self.transport.set_protocol(self)
        task = http.loop.create_task(run_endpoint(self, cast(Any, http.app), self._scope))
        http.tasks.add(task)
        task.add_done_callback(http.tasks.discard)

    # What the endpoint does

    async def receive(self) -> dict[str, Any]:
        if self._is_connect_told:
            raise RuntimeError(
                "what comes after the handshake goes to whoever adopts the connection"
            )
        self._is_connect_told = True
        return {"type": "websocket.connect"}

    async def send(self, message: Any) -> None:
        if self.transport.is_closing():
            raise ClientDisconnected
        if self._is_accepted:
            raise RuntimeError("an accepted connection is written to by whoever adopts it")
        if message["type"] == "websocket.accept" and self._refusal is None:
            self._accept(message)
        else:
            await self._refuse().send(message)

    def adopt(self, make_adopter: Callable[[AdoptedWebSocket], Adopter]) -> None:
        http = self._http
        conn = FrameProtocol(Side.SERVER, max_size=http.config.ws_max_size, logger=logger)
        self.adopted = AdoptedWebSocket(self.transport, conn, self._connections, http.loop)
        adopter = make_adopter(self.adopted)
        if self._is_lost:
            adopter.on_lost()
            return
        self._connections.discard(self)
        self.adopted.begin(adopter, [], is_text=False)
        if self._early:
            self.adopted.resume_reading()
            self.adopted.data_received(self._early)

    def fail(self) -> None:
        if self.adopted is not None:
            self.adopted.fail(*INTERNAL_ERROR)
        elif self._may_refuse():
            self._refuse().fail()
        else:
            self.transport.close()

    def end_unadopted(self) -> None:
        if self._may_refuse():
            self._refuse().end_unadopted()
        else:
            self.transport.close()

    def _may_refuse(self) -> bool:
        return not (self._is_accepted or self.transport.is_closing())

    def _accept(self, message: dict[str, Any]) -> None:
        headers = [*self._http.server_state.default_headers, *message.get("headers", ())]
        subprotocol = message.get("subprotocol")
        if subprotocol:
            headers.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        accept = b64encode(sha1(self._key + _GUID, usedforsecurity=False).digest())
        lines = b"".join([_line(name, value) for name, value in headers])
        self._is_accepted = True
        self.transport.write(_HEAD % (accept, lines))

    def _refuse(self) -> AdoptableProtocol:
        """Have uvicorn say no: it knows all the ways."""
        if self._refusal is None:
            http = self._http
            self._refusal = AdoptableProtocol(http.config, http.server_state, http.app_state)
            self._connections.discard(self)
            self._refusal.take_over(self.transport, self._scope)
        return self._refusal

    # What the transport and the server tell

    def data_received(self, data: bytes) -> None:
        """A client that does not wait for the answer: no more is read until then."""
        self._early += data
        self.transport.pause_reading()

    def shutdown(self) -> None:
        if self._may_refuse():
            self._refuse().send_500_response()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._is_lost = True


def _line(name: bytes, value: bytes) -> bytes:
    line = b"%b: %b" % (name, value)
    if b"\r" in line or b"\n" in line:
        raise ValueError("a header of the answer has a line break")
    return line + b"\r\n"
