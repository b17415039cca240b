"""The way of a WebSocket from its HTTP request to its adoption, through FastAPI like any route.

The endpoint accepts the handshake, has the connection adopted and returns. This touches internals of uvicorn:
the supported range is pinned, and a contract test holds it to them.
"""

from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidewire.http.bounded_head import BoundedHead

from .adoptable import AdoptableProtocol
from .plain_upgrade import PlainUpgrade, plain_request
from .public_http import BoundedHttp

__all__ = ["AdoptableProtocol", "ConsoleHttp", "PublicHttp", "UpgradingHttp"]

_INVALID = "Invalid HTTP request received."


class UpgradingHttp(HttpToolsProtocol):
    """Answers ordinary upgrades itself; the others uvicorn writes out again, for its WebSocket side to parse.

    An upgrade that comes before the requests ahead of it are answered is not looked at: the connection ends with the
    last of their answers, and the client asks again on another (RFC 9112, 9.3.2). uvicorn would write into the answers.
    """

    _is_ending = False

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.logger.warning(_INVALID)
            self.send_400_response(_INVALID)
        except httptools.HttpParserUpgrade as upgrade:
            (length,) = upgrade.args
            if self._should_upgrade() and self._is_answering():
                self._is_ending = True
                self.cycle.keep_alive = False
            else:
                self._upgrade(data[length:])

    def _is_answering(self) -> bool:
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _upgrade(self, early: bytes) -> None:
        """Go on as a WebSocket; ``early`` are the bytes behind the request."""
        method, version = self.scope["method"], self.scope["http_version"]
        request = plain_request(method, version, self.url, self.headers)
        if request is not None:
            PlainUpgrade(self, request, early).begin()
        elif not self._should_upgrade():
            self._unsupported_upgrade_warning()
            return
        elif version != "1.1":
            self._refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "a WebSocket needs HTTP/1.1")
        elif self._asks_for_another_version():
            self._refuse(HTTPStatus.UPGRADE_REQUIRED, "the version of WebSockets here is 13")
        else:
            self.handle_websocket_upgrade()
        self.parser = cast(Any, None)  # it and this protocol refer to each other

    def _asks_for_another_version(self) -> bool:
        """Which uvicorn and `websockets` would call a bad request, and leave the client to guess."""
        versions = [value for name, value in self.headers if name == b"sec-websocket-version"]
        return len(versions) == 1 and versions[0].strip() != b"13"

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        headers = [
            *self.server_state.default_headers,
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"connection", b"upgrade, close"),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
        ]
        start = b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode())
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(b"%b%b\r\n%b" % (start, lines, text.encode()))
        self.transport.close()


class PublicHttp(BoundedHttp, UpgradingHttp):
    """HTTP of the public port."""


class ConsoleHttp(BoundedHead, UpgradingHttp):
    """HTTP of the internal port where the console is on."""
