"""The WebSocket side of uvicorn, made adoptable: it answers whatever is unusual about a handshake, and what is refused.

This touches internals of uvicorn: the supported range is pinned, and a contract test holds it to them.
"""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any, Final, Protocol, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from .adopted import AdoptedWebSocket, Adopter

__all__ = [
    "EXTENSION",
    "INTERNAL_ERROR",
    "Adoptable",
    "AdoptableProtocol",
    "logger",
    "run_endpoint",
]

EXTENSION = "tidewire.connection"
INTERNAL_ERROR = (1011, "internal error")

# uvicorn and websockets tell of every connection, with its query string: of errors only, here.
logger: Final = logging.getLogger("tidewire_gateway.websocket")
logger.setLevel(logging.WARNING)


class Adoptable(Protocol):
    """What shakes hands, as the endpoint finds it in ``scope["extensions"]``."""

    adopted: AdoptedWebSocket | None
    transport: asyncio.Transport

    def adopt(self, make_adopter: Callable[[AdoptedWebSocket], Adopter]) -> None:
        """Hand the accepted connection over, with whatever has arrived meanwhile."""
        ...

    async def receive(self) -> Any: ...

    async def send(self, message: Any) -> None: ...

    def fail(self) -> None:
        """The endpoint broke: 500 before the upgrade, 1011 after it."""
        ...

    def end_unadopted(self) -> None:
        """The endpoint returned, and has no use for the connection."""
        ...


async def run_endpoint(protocol: Adoptable, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
    """Have the application judge a handshake; the connection outlives this if it was adopted."""
    scope["extensions"][EXTENSION] = protocol
    try:
        await app(scope, protocol.receive, protocol.send)
    except ClientDisconnected:
        protocol.transport.close()
    except Exception:
        logger.exception("exception in the WebSocket endpoint")
        protocol.fail()
    else:
        if protocol.adopted is None:
            protocol.end_unadopted()
    finally:
        del scope["extensions"][EXTENSION]  # each refers to the other


class AdoptableProtocol(WebSocketsSansIOProtocol):
    """Whose connection the endpoint can have adopted."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.adopted: AdoptedWebSocket | None = None
        self.logger = self.conn.logger = logger
        self.conn.debug = False  # it would log every frame, tokens included

    def take_over(self, transport: asyncio.Transport, scope: Any) -> None:
        """Refuse a request that another protocol has read."""
        self.transport = transport
        self.scope = scope
        self.connections.add(self)
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # The library could not read the request, and uvicorn would not pass on what it answers.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def run_asgi(self) -> None:
        await run_endpoint(self, cast(ASGIApp, self.app), cast(dict[str, Any], self.scope))

    def adopt(self, make_adopter: Callable[[AdoptedWebSocket], Adopter]) -> None:
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
        self._replay(self.adopted, adopter)

    def fail(self) -> None:
        self.send_500_response()
        if self.adopted is not None:
            self.adopted.fail(*INTERNAL_ERROR)
        else:
            self.transport.close()

    def end_unadopted(self) -> None:
        if not self.handshake_complete and self.initial_response is None:
            self.logger.error("ASGI callable returned without completing handshake.")
            self.send_500_response()
        if self.close_timer is None:
            self.transport.close()

    def _replay(self, adopted: AdoptedWebSocket, adopter: Adopter) -> None:
        while not self.queue.empty():
            event = cast(dict[str, Any], self.queue.get_nowait())
            if event["type"] == "websocket.receive":
                text = event.get("text")
                adopter.on_binary() if text is None else adopter.on_text(text.encode())
            elif event["type"] == "websocket.disconnect":
                adopted.close_transport()
