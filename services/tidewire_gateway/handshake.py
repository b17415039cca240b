"""The way of a WebSocket from its HTTP request to its adoption, through FastAPI like any route.

The endpoint accepts the handshake, has the connection adopted and returns. This touches internals of uvicorn:
the supported range is pinned, and a contract test holds it to them.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import Protocol as FrameProtocol

from .adopted import AdoptedWebSocket, Adopter
from .public_http import BoundedHttp

__all__ = ["EXTENSION", "AdoptableProtocol", "PublicHttp", "UpgradingHttp"]

EXTENSION = "tidewire.connection"
_INTERNAL_ERROR = 1011
_PLAIN_SIZE = 8000
_PLAIN_HEADERS = 100
"""Within these a request is handed over as it was parsed; `websockets` refuses little more than them."""
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})

# uvicorn and websockets tell of every connection, with its query string: of errors only, here.
_log: Final = logging.getLogger("tidewire_gateway.websocket")
_log.setLevel(logging.WARNING)


class UpgradingHttp(HttpToolsProtocol):
    """Hands an upgrade over as it was parsed: uvicorn writes it out again, for the WebSocket side to parse."""

    def handle_websocket_upgrade(self) -> None:
        request = None
        if self.ws_protocol_class is AdoptableProtocol:
            request = _plain_request(self.url, self.headers)
        if request is None:
            super().handle_websocket_upgrade()
        else:
            self.connections.discard(self)
            protocol = AdoptableProtocol(self.config, self.server_state, self.app_state)
            protocol.take_over(self, request)
            self.transport.set_protocol(protocol)
        self.parser = cast(Any, None)  # it and this protocol refer to each other


class PublicHttp(UpgradingHttp, BoundedHttp):
    """HTTP of the public port."""


class AdoptableProtocol(WebSocketsSansIOProtocol):
    """Puts itself into ``scope["extensions"]`` so that the endpoint can have it adopted."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.adopted: AdoptedWebSocket | None = None
        self.logger = self.conn.logger = _log
        self.conn.debug = False  # it would log every frame, tokens included

    def take_over(self, http: HttpToolsProtocol, request: Request) -> None:
        """Go on with a request that ``http`` has parsed."""
        self.transport = http.transport
        self.server, self.client = http.server, http.client
        self.scheme = "wss" if http.scheme == "https" else "ws"
        self.connections.add(self)
        self.conn.parser = FrameProtocol.parse(self.conn)  # the one it has waits for the request
        next(self.conn.parser)
        self.handle_connect(request)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # The library could not read the request, and uvicorn would not pass on what it answers.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def run_asgi(self) -> None:
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"][EXTENSION] = self
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            self.transport.close()
        except Exception:
            self.logger.exception("exception in the WebSocket endpoint")
            self._fail()
        else:
            if self.adopted is None:
                self._end_unadopted()
        finally:
            del scope["extensions"][EXTENSION]  # each refers to the other

    def adopt(self, make_adopter: Callable[[AdoptedWebSocket], Adopter]) -> None:
        """Hand the accepted connection over, with whatever has arrived meanwhile."""
        connections = cast(set[asyncio.Protocol], self.connections)
        self.adopted = AdoptedWebSocket(self.transport, self.conn, connections, self.loop)
        adopter = make_adopter(self.adopted)
        self.connections.discard(self)
        if self.disconnected:
            adopter.on_lost()
            return
        is_text = self.curr_msg_data_type == "text"
        self.adopted.begin(adopter, self.frames, is_text=is_text)
        if self.read_paused:
            self.transport.resume_reading()
        self._replay(adopter)

    async def send(self, message: Any) -> None:
        is_first = not self.handshake_complete and self.initial_response is None
        if is_first and message["type"] == "websocket.accept":
            self._accept(message)
        else:
            await super().send(message)

    def _accept(self, message: dict[str, Any]) -> None:
        """As uvicorn does it, without a log line."""
        if self.disconnected:
            raise ClientDisconnected
        headers = self.response.headers
        del headers["Date"]  # it is among uvicorn's own
        for name, value in (*self.default_headers, *message.get("headers", ())):
            headers[name.decode("latin-1")] = value.decode("latin-1")
        subprotocol = message.get("subprotocol")
        if subprotocol:
            headers["Sec-WebSocket-Protocol"] = subprotocol
        if not self.transport.is_closing():
            self.handshake_complete = True
            self.conn.send_response(self.response)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.start_keepalive()

    def _replay(self, adopter: Adopter) -> None:
        while not self.queue.empty():
            event = cast(dict[str, Any], self.queue.get_nowait())
            if event["type"] == "websocket.receive":
                text = event.get("text")
                adopter.on_binary() if text is None else adopter.on_text(text.encode())
            elif event["type"] == "websocket.disconnect":
                self.transport.close()

    def _fail(self) -> None:
        """The endpoint broke: 500 before the upgrade, 1011 after it."""
        self.send_500_response()
        if self.adopted is not None:
            self.adopted.fail(_INTERNAL_ERROR, "internal error")
        else:
            self.transport.close()

    def _end_unadopted(self) -> None:
        if not self.handshake_complete and self.initial_response is None:
            self.logger.error("ASGI callable returned without completing handshake.")
            self.send_500_response()
        if self.close_timer is None:
            self.transport.close()


def _plain_request(url: bytes, raw_headers: list[tuple[bytes, bytes]]) -> Request | None:
    """A request without a body, far from the library's limits, in ASCII; None for any other.

    Of the others the library says itself what is wrong with them, from their bytes.
    """
    size = len(url) + sum(len(name) + len(value) for name, value in raw_headers)
    if size > _PLAIN_SIZE or len(raw_headers) > _PLAIN_HEADERS:
        return None
    headers = Headers()
    try:
        for name, value in raw_headers:
            if name in _OF_A_BODY:
                return None
            headers[name.decode("ascii")] = value.decode("ascii").strip(" \t")
        return Request(url.decode("ascii"), headers)
    except ValueError:
        return None
