"""Runs a router beside its internal port: says when it is ready, drains on a signal."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

import orjson
import uvicorn
from fastapi import FastAPI

from tidewire import __version__
from tidewire.config.listening import url_of
from tidewire.http.bounded_head import BoundedHead
from tidewire.telemetry.logging import get_logger

from .router import Router

__all__ = ["serve"]

_SHUTDOWN_TIMEOUT = 1

_log = get_logger(__name__)


class _Server(uvicorn.Server):
    """Signals are the router's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    router: Router, app: FastAPI, internal: socket.socket, *, is_ready_told: bool
) -> None:
    """Run until SIGTERM or SIGINT has drained the router. Raises what ended it, if that is why it stops."""
    server = _Server(
        uvicorn.Config(
            app,
            http=BoundedHead,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # anybody may write them
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
    )
    url = url_of(internal)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.stop, number.name)
    _log.info("listening", internal=url, version=__version__)

    def ready() -> None:
        if is_ready_told:
            line = {"event": "ready", "internal": url, "pid": os.getpid()}
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
            sys.stdout.flush()

    serving = asyncio.create_task(server.serve(sockets=[internal]))
    try:
        await router.run(ready)
    finally:
        server.should_exit = True
        await serving
