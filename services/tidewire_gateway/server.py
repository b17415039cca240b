"""Serve a node's two applications in one loop: the public port and the internal one."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import orjson
import uvicorn
from fastapi import FastAPI

from tidewire import __version__
from tidewire.config.listening import url_of
from tidewire.http.bounded_head import BoundedHead
from tidewire.http.public_tls import PublicTls
from tidewire.telemetry.logging import get_logger

from .descriptors import most_sockets
from .handshake import AdoptableProtocol, ConsoleHttp, PublicHttp
from .internal_app import create_internal_app
from .settings import GatewaySettings

__all__ = ["Server", "internal_config", "public_config", "serve"]

_BACKLOG = 2048
_SHUTDOWN_TIMEOUT = 3

_log = get_logger(__name__)


class Server(uvicorn.Server):
    """One of two servers in a process: signals are handled once, for both."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit and self._on_started is not None:
            self._on_started()

    def stop_listening(self) -> None:
        """New connections go to others that listen on the port; those there are stay."""
        for server in self.servers:
            server.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    settings: GatewaySettings,
    app: FastAPI,
    public: socket.socket,
    internal: socket.socket,
    *,
    is_one_of_several: bool = False,
) -> None:
    """Serve until SIGTERM has drained the node; SIGINT and a second SIGTERM end it at once.

    One of several behind the same port may get SIGTERM from the process above it and from whoever sent
    it to all of them: for it a second one means nothing. It leaves the port to the others once it moves its clients.

    The internal server is up first and ends last. Raises what ended one of the node's tasks, if that is
    why it stops.
    """
    public_server = Server(
        public_config(app, settings),
        lambda: _announce(settings, public, internal, is_secured=app.state.tls is not None),
    )
    internal_server = Server(internal_config(create_internal_app(app), settings))

    reason = "drained"

    def stop() -> None:
        public_server.should_exit = True

    def interrupt(by: signal.Signals) -> None:
        nonlocal reason
        reason = by.name
        stop()

    loop = asyncio.get_running_loop()

    def drain() -> None:
        nonlocal reason
        reason = signal.SIGTERM.name
        if not is_one_of_several:
            loop.add_signal_handler(signal.SIGTERM, interrupt, signal.SIGTERM)
        if app.state.drain is None:
            stop()
        else:
            app.state.drain.begin()

    loop.add_signal_handler(signal.SIGTERM, drain)
    loop.add_signal_handler(signal.SIGINT, interrupt, signal.SIGINT)
    app.state.stop = stop
    app.state.internal_url = url_of(internal)
    if is_one_of_several:
        app.state.stop_listening = public_server.stop_listening
    internal_task = asyncio.create_task(internal_server.serve(sockets=[internal]))
    try:
        await public_server.serve(sockets=[public])
    finally:
        internal_server.should_exit = True
        await internal_task
    failure: BaseException | None = app.state.failure
    _log.info("stopped", reason=reason if failure is None else repr(failure))
    if failure is not None:
        raise failure


def public_config(app: FastAPI, settings: GatewaySettings) -> uvicorn.Config:
    tls: PublicTls | None = app.state.tls
    return uvicorn.Config(
        app,
        ws=AdoptableProtocol,
        ws_max_size=settings.limits.max_frame_in,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        http=PublicHttp if tls is None else tls.before(PublicHttp, most_sockets),
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # anybody may write them: see `client_address`
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        backlog=_BACKLOG,
    )


def internal_config(app: FastAPI, settings: GatewaySettings) -> uvicorn.Config:
    """WebSockets are for the console."""
    return uvicorn.Config(
        app,
        http=ConsoleHttp if settings.console else BoundedHead,
        loop="uvloop",
        ws=AdoptableProtocol if settings.console else "none",
        ws_max_size=settings.limits.max_frame_in,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # anybody may write them: see `client_address`
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )


def _announce(
    settings: GatewaySettings, public: socket.socket, internal: socket.socket, *, is_secured: bool
) -> None:
    """Say where we are: in the log, and to the program that started us."""
    http = url_of(public, "https" if is_secured else "http")
    inside = url_of(internal)
    _log.info("listening", http=http, internal=inside, version=__version__)
    if settings.ready_json:
        ready = {
            "event": "ready",
            "ws": f"{url_of(public, 'wss' if is_secured else 'ws')}/v1/ws",
            "http": http,
            "internal": inside,
            "pid": os.getpid(),
        }
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()
