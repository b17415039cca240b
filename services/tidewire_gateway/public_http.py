"""HTTP on the public port: no more sockets than there are descriptors."""

import asyncio
from typing import ClassVar

from tidewire.http.bounded_head import BoundedHead
from tidewire.telemetry.logging import get_logger

from .descriptors import most_sockets

__all__ = ["BoundedHttp"]

_log = get_logger(__name__)


class BoundedHttp(BoundedHead):
    """Aborts a socket too many before it costs anything: accepting would fail for want of descriptors, and so would Kafka's client."""

    _most: ClassVar[int | None] = None  # asked once: the limit stays as the process began with it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if BoundedHttp._most is None:
            BoundedHttp._most = most_sockets()
        if len(self.connections) > BoundedHttp._most:
            _log.warning("socket aborted: no file descriptor to spare", most=BoundedHttp._most)
            transport.abort()
