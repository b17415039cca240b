"""Ask a Kafka port, in Kafka's own protocol, whether a broker and a controller answer there."""

import socket
import struct
from typing import Final

__all__ = ["broker_answers", "metadata_request", "port_answers", "serves"]

METADATA: Final = 3
VERSION: Final = 4
CORRELATION: Final = 7
CLIENT: Final = b"tidewire"
LARGEST_ANSWER: Final = 1 << 20
NONE_YET: Final = -1


def metadata_request() -> bytes:
    """A framed Metadata request (v4) for no topic at all."""
    header = struct.pack(">hhih", METADATA, VERSION, CORRELATION, len(CLIENT)) + CLIENT
    body = struct.pack(">i?", 0, False)
    return struct.pack(">i", len(header) + len(body)) + header + body


def serves(answer: bytes) -> bool:
    """Whether an unframed Metadata answer names at least one broker and a controller."""
    try:
        correlation, _throttle, brokers = struct.unpack_from(">iii", answer, 0)
        at = 12
        for _ in range(brokers):
            at = _after_string(answer, at + 4) + 4  # node id, host, port
            at = _after_string(answer, at)  # rack
        at = _after_string(answer, at)  # cluster id
        (controller,) = struct.unpack_from(">i", answer, at)
    except struct.error:
        return False
    return bool(correlation == CORRELATION and brokers > 0 and controller != NONE_YET)


def _after_string(data: bytes, at: int) -> int:
    length: int = struct.unpack_from(">h", data, at)[0]
    return at + 2 + max(0, length)


def broker_answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a broker that can take requests listens there."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(metadata_request())
            (size,) = struct.unpack(">i", _read(connection, 4))
            return 0 < size <= LARGEST_ANSWER and serves(_read(connection, size))
    except OSError:
        return False


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("closed in the middle of an answer")
        data += chunk
    return data


def port_answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether anything accepts connections there."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return False
    return True
