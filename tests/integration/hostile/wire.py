"""A WebSocket client of bare bytes: whatever frames may be, and what RFC 6455 forbids."""

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "PATIENCE",
    "PING",
    "PONG",
    "TEXT",
    "Received",
    "Wire",
    "close_frame",
    "fragments",
    "frame",
    "hello_bytes",
    "message_bytes",
    "upgraded",
    "wired",
]

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE: Final = 10.0
_ACCEPTED = b"HTTP/1.1 101 "
_USUAL = (
    "GET /v1/ws HTTP/1.1",
    "Host: x",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


@dataclass(frozen=True, slots=True)
class Received:
    """A frame of the server's."""

    opcode: int
    data: bytes

    @property
    def message(self) -> dict[str, Any]:
        assert self.opcode == TEXT, self
        message: dict[str, Any] = json.loads(self.data)
        return message

    @property
    def code(self) -> int | None:
        """Of a close frame; None where it has none."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.data[:2], "big") if self.data else None


def frame(
    opcode: int,
    data: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    is_masked: bool = True,
    length: int | None = None,
) -> bytes:
    """The bytes of a client's frame; ``length`` is what its header claims where that is not the truth."""
    size = len(data) if length is None else length
    first, bit = (fin << 7) | (reserved << 4) | opcode, is_masked << 7
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not is_masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + _masked(data, mask)


def _masked(data: bytes, mask: bytes) -> bytes:
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def fragments(opcode: int, parts: Iterable[bytes]) -> list[bytes]:
    """The frames of one message."""
    texts = list(parts)
    return [
        frame(opcode if n == 0 else CONT, part, fin=n == len(texts) - 1)
        for n, part in enumerate(texts)
    ]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def message_bytes(kind: str, request_id: int, *, size: int | None = None, **payload: Any) -> bytes:
    """A message of the protocol, made to ``size`` bytes by a field that nobody knows."""
    message = {"v": 1, "type": kind, "id": request_id, "payload": payload}
    text = json.dumps(message).encode()
    if size is None:
        return text
    message["pad"] = ""
    message["pad"] = "x" * (size - len(json.dumps(message)))
    text = json.dumps(message).encode()
    assert len(text) == size
    return text


def hello_bytes(*, size: int | None = None, **payload: Any) -> bytes:
    return message_bytes("hello", 1, size=size, **{"client": "test/1", **payload})


class Wire:
    """A socket whose every read has a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unread = b""
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *pieces: bytes) -> None:
        """One write each. A server that has said its last word takes no more: its answer is there to be read."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self.sock.sendall(piece)

    def send_octets(self, data: bytes) -> None:
        self.send(*(data[n : n + 1] for n in range(len(data))))

    def head(self) -> bytes:
        """An answer's start line and headers."""
        while b"\r\n\r\n" not in self._unread:
            assert self._more(), self._unread
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head

    def rest(self) -> bytes:
        """All there is until the server ends the connection."""
        while self._more():
            pass
        rest, self._unread = self._unread, b""
        return rest

    def upgrade(self, *lines: str, early: bytes = b"") -> bytes:
        """Shake hands with these header lines beside the usual ones; the answer's head.

        ``early`` is sent with the request.
        """
        self.send("\r\n".join([*_USUAL, *lines, "", ""]).encode("latin-1") + early)
        return self.head()

    def next(self) -> Received | None:
        """The next frame; None where the connection ended."""
        head = self._exactly(2)
        if head is None:
            return None
        assert head[0] & 0xF0 == 0x80, "a server's frames are whole and have no extensions"
        size = head[1]
        if size > 125:
            wide = self._exactly(2 if size == 126 else 8)
            assert wide is not None
            size = int.from_bytes(wide, "big")
        data = self._exactly(size)
        assert data is not None
        return Received(head[0] & 0x0F, data)

    def expect(self, kind: str) -> dict[str, Any]:
        """The payload of the next text message, which is of this type; pings of the server pass by."""
        found = self.next_but_pings()
        assert found is not None, f"closed instead of {kind}"
        assert found.opcode == TEXT, found
        assert found.message["type"] == kind, found
        payload: dict[str, Any] = found.message["payload"]
        return payload

    def expect_pong(self, data: bytes) -> None:
        assert self.next_but_pings() == Received(PONG, data)

    def expect_close(self, code: int | None) -> None:
        """A close frame comes next, and after it, once it is answered, nothing but the end."""
        found = self.next_but_pings()
        assert found is not None, f"ended without a close frame: {code} expected"
        assert found.opcode == CLOSE, found
        assert found.code == code, found
        self.send(frame(CLOSE, found.data))
        assert self.next() is None

    def hello(self) -> None:
        self.send(frame(TEXT, hello_bytes()))
        self.expect("welcome")

    def is_alive(self) -> bool:
        """Whether a ping is answered."""
        self.send(frame(PING, b"alive?"))
        while (found := self.next()) is not None:
            if found == Received(PONG, b"alive?"):
                return True
        return False

    def next_but_pings(self) -> Received | None:
        """The next frame that is no sign of life; None where the connection ended."""
        while (found := self.next()) is not None and (
            found.opcode == PING or (found.opcode == TEXT and found.message["type"] == "ping")
        ):
            pass
        return found

    def _exactly(self, size: int) -> bytes | None:
        while len(self._unread) < size:
            if not self._more():
                return None
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _more(self) -> bool:
        try:
            found = self.sock.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._unread += found
        return bool(found)


@contextlib.contextmanager
def wired(url: str) -> Iterator[Wire]:
    """A connection to the server of ``url``, before anything is said."""
    address = urlsplit(url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), PATIENCE) as sock:
        yield Wire(sock)


@contextlib.contextmanager
def upgraded(url: str, *lines: str, hello: bool = True) -> Iterator[Wire]:
    """A WebSocket, welcomed unless ``hello`` is false."""
    with wired(url) as wire:
        assert wire.upgrade(*lines).startswith(_ACCEPTED)
        if hello:
            wire.hello()
        yield wire
