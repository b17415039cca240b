"""HTTP requests whose head is bounded, in time and in bytes: uvicorn's fast parser bounds neither."""

import asyncio
from asyncio.events import TimerHandle
from http import HTTPStatus
from typing import Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["MAX_HEAD_BYTES", "BoundedHead"]

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of a request line with its headers; what one read brings beyond that may still be taken."""
_HEAD_TIMEOUT: Final = 10.0
"""Seconds for a request line with its headers, from the connection or from their first byte on."""

_STATUS: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_DETAIL: Final = b"a request's line and headers may have %d bytes" % MAX_HEAD_BYTES
_TOO_LARGE: Final = (
    b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
    % (_STATUS, _STATUS.phrase.encode(), len(_DETAIL), _DETAIL)
)


class BoundedHead(HttpToolsProtocol):
    """Closes a socket whose request does not come in time, or has no end.

    Without the first, sockets that say nothing take the places of those who would; without the second, one that says
    too much takes the memory of all: a header costs twenty times its bytes.
    """

    _head_timer: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_head(self) -> None:
        self._stop_waiting()
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        if cycle is None or cycle.response_complete:
            self.transport.write(_TOO_LARGE)
        self.transport.close()
