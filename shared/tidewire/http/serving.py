"""Runs a service's application under uvicorn: says when it is ready, ends cleanly on a signal."""

import asyncio
import os
import signal
import socket
import sys
from types import FrameType

import orjson
import uvicorn
from fastapi import FastAPI

from .._version import __version__
from ..config.listening import url_of
from ..telemetry.logging import get_logger
from .bounded_head import BoundedHead
from .public_tls import PublicTls, scheme_of

__all__ = ["end_with", "make_server", "serve"]

_KEEP_ALIVE_TIMEOUT = 75

_log = get_logger(__name__)


def serve(
    app: FastAPI,
    sock: socket.socket,
    *,
    shutdown_timeout: float,
    is_ready_told: bool,
    tls: PublicTls | None = None,
) -> None:
    """Serve on ``sock`` until SIGINT or SIGTERM, then finish the requests in work; in plain text without ``tls``.

    An application ends its own service by ``state.stop()``; ``state.failure``, where it left one, is raised then. Where it has a
    ``state.drain``, that is called as soon as a signal comes: it still listens for a moment then. Where it has a
    ``state.started``, an event, it is ready, which ``is_ready_told``, only when that is set; it listens before.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)  # uvicorn raises the signal again once it has shut down
    server = make_server(
        app, sock, shutdown_timeout=shutdown_timeout, is_ready_told=is_ready_told, tls=tls
    )
    try:
        server.run(sockets=[sock])
    except SystemExit as end:  # by `_exit`, and the caller may have more to do
        if end.code != 0:
            raise
    failure: BaseException | None = getattr(app.state, "failure", None)
    if failure is not None:
        raise failure


def make_server(
    app: FastAPI,
    sock: socket.socket,
    *,
    shutdown_timeout: float,
    is_ready_told: bool,
    tls: PublicTls | None = None,
) -> uvicorn.Server:
    """What `serve` runs, for who has a loop of its own; ``app.state.stop`` is set to what ends it."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody may write them
        lifespan="on",
        ws="none",
        http=BoundedHead if tls is None else tls.before(BoundedHead),
        timeout_keep_alive=_KEEP_ALIVE_TIMEOUT,
        timeout_graceful_shutdown=max(1, round(shutdown_timeout)),
    )
    url = url_of(sock, scheme_of(tls))
    server = _Server(config, app, url, tls, is_ready_told=is_ready_told)
    app.state.stop = server.stop
    return server


def end_with(app: FastAPI, ended: "asyncio.Task[None]") -> None:
    """A task without which the application would only look alive has ended: so does its service."""
    if ended.cancelled():
        return
    app.state.failure = ended.exception()
    if app.state.stop is not None:
        app.state.stop()


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        url: str,
        tls: PublicTls | None,
        *,
        is_ready_told: bool,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._url = url
        self._tls = tls
        self._is_ready_told = is_ready_told
        self._reason = "its task is over"
        self._telling: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def stop(self) -> None:
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._reason = signal.Signals(sig).name
        drain = getattr(self._app.state, "drain", None)
        if drain is not None:
            drain()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        _log.info("listening", http=self._url, version=__version__)
        if self._tls is not None:
            self._watching = asyncio.create_task(self._tls.watch(), name="watch-certificate")
            self._watching.add_done_callback(lambda ended: end_with(self._app, ended))
        if self._is_ready_told:
            self._telling = asyncio.create_task(self._tell_ready(), name="tell-ready")

    async def _tell_ready(self) -> None:
        started: asyncio.Event | None = getattr(self._app.state, "started", None)
        if started is not None:
            await started.wait()
        ready = {"event": "ready", "http": self._url, "pid": os.getpid()}
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in (self._telling, self._watching):
            if task is not None:
                task.cancel()
        await super().shutdown(sockets)
        failure: BaseException | None = getattr(self._app.state, "failure", None)
        reason = self._reason if failure is None else f"{type(failure).__name__}: {failure}"
        _log.info("stopped", reason=reason)


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
