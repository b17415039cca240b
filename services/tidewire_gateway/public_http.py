"""HTTP on the public port: no more sockets than there are descriptors, and requests that come in time."""

import asyncio
from asyncio.events import TimerHandle
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidewire.telemetry.logging import get_logger

from .descriptors import most_sockets

__all__ = ["BoundedHttp"]

_HEAD_TIMEOUT: Final = 10.0
"""Seconds for a request line with its headers, from the connection or from their first byte on."""

_log = get_logger(__name__)


class BoundedHttp(HttpToolsProtocol):
    """Aborts a socket too many before it costs anything; closes one that has not sent its request in time.

    Without the first, accepting fails for want of descriptors, and so does Kafka's client; without the second,
    sockets that say nothing take the places of those who would.
    """

    _most: ClassVar[int | None] = None  # asked once: the limit stays as the process began with it
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if BoundedHttp._most is None:
            BoundedHttp._most = most_sockets()
        if len(self.connections) > BoundedHttp._most:
            _log.warning("socket aborted: no file descriptor to spare", most=BoundedHttp._most)
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
