"""The limit in Python: ready frames and ``transport.write`` on uvloop, nothing else.

``python -m benchmarks.peers.uvloop_write --port P``. No ASGI, no session, no heed of slow clients.
"""

import asyncio
import base64
import hashlib
from typing import cast

from tidewire.protocol.framing import text_frame

from .control import listen, port_of, say_ready
from .frames import RECEIVER_DIGITS, private_parts, shared_payload
from .obeying import obey_commands, run

__all__ = ["main"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = b"sec-websocket-key:"


class _Connection(asyncio.Protocol):
    """Answers the handshake; what comes after it is ignored."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self._request = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.is_open:
            return
        self._request += data
        if b"\r\n\r\n" in self._request:
            self.transport.write(_accepted(self._request))
            self.is_open, self._request = True, b""
            self._server.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.pop(self, None)


class _Server:
    def __init__(self) -> None:
        self._arrived = 0
        self.connections: dict[_Connection, bytes] = {}

    def admit(self, connection: _Connection) -> None:
        self._arrived += 1
        self.connections[connection] = b"%0*d" % (RECEIVER_DIGITS, self._arrived)

    def send(self, number: int, at: int, size: int) -> None:
        frame = text_frame(shared_payload(number, at, size))
        for connection in self.connections:
            connection.transport.write(frame)

    def send_private(self, number: int, at: int, size: int) -> None:
        head, tail = private_parts(number, at, size)
        for connection, receiver in self.connections.items():
            connection.transport.write(text_frame(head + receiver + tail))

    def is_unsent(self, limit: int) -> bool:
        return any(c.transport.get_write_buffer_size() >= limit for c in self.connections)


def _accepted(request: bytes) -> bytes:
    lines = request.split(b"\r\n")
    key = next(line[len(_KEY) :].strip() for line in lines if line.lower().startswith(_KEY))
    digest = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - as RFC 6455 has it
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % digest
    )


async def _serve(port: int) -> None:
    server = _Server()
    listening = listen(port)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Connection(server), sock=listening, backlog=4096)
    say_ready(listening)
    await obey_commands(server)


def main() -> None:
    port = port_of(__doc__)
    run(lambda: _serve(port))


if __name__ == "__main__":
    main()
