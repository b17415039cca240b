"""Run one gateway node: ``python -m tidewire_gateway``, told by ``TIDEWIRE_GATEWAY__*``."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire.errors import TidewireError
from tidewire.kafka.aiokafka_clients import AiokafkaReader
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.telemetry.logging import configure_logging

from .adopted import AdoptableProtocol
from .app import Clients, create_app, create_internal_app
from .settings import GatewaySettings

__all__ = ["main"]

EXIT_CONFIGURATION = 2
_BACKLOG = 2048
_SHUTDOWN_TIMEOUT = 5


class Server(uvicorn.Server):
    """One of two servers in a process: signals are handled once, for both."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_started is not None:
            self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    try:
        settings = load_settings(GatewaySettings)
        configure_logging("gateway", dev=settings.dev, level=settings.log_level)
        _run(settings)
    except TidewireError as error:
        print(f"tidewire-gateway: {error}", file=sys.stderr)  # noqa: T201 - one sentence for a person
        return EXIT_CONFIGURATION
    return 0


def _run(settings: GatewaySettings) -> None:
    clients = Clients(
        reader=lambda: AiokafkaReader(settings.kafka), admin=lambda: ConfluentAdmin(settings.kafka)
    )
    app = create_app(settings, clients)
    public = _bind(settings.host, settings.port)
    internal = _bind(settings.internal_host, settings.internal_port)
    uvloop.run(_serve(settings, app, public, internal))
    failure: BaseException | None = app.state.failure
    if failure is not None:
        raise failure


async def _serve(
    settings: GatewaySettings, app: FastAPI, public: socket.socket, internal: socket.socket
) -> None:
    """Both servers; the internal one is up first and ends last."""
    public_server = Server(
        public_config(app, settings), lambda: _announce(settings, public, internal)
    )
    internal_server = Server(_internal_config(create_internal_app(app)))

    def stop() -> None:
        public_server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    app.state.on_failure = stop
    internal_task = asyncio.create_task(internal_server.serve(sockets=[internal]))
    try:
        await public_server.serve(sockets=[public])
    finally:
        internal_server.should_exit = True
        await internal_task


def _announce(settings: GatewaySettings, public: socket.socket, internal: socket.socket) -> None:
    """Tell the program that started us where we are."""
    if not settings.ready_json:
        return
    host, port = public.getsockname()[:2]
    ready = {
        "event": "ready",
        "ws": f"ws://{host}:{port}/v1/ws",
        "http": f"http://{host}:{port}",
        "internal": "http://{}:{}".format(*internal.getsockname()[:2]),
        "pid": os.getpid(),
    }
    print(orjson.dumps(ready).decode(), flush=True)  # noqa: T201 - read by a program


def public_config(app: FastAPI, settings: GatewaySettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws=AdoptableProtocol,
        ws_max_size=settings.limits.max_frame_in,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        backlog=_BACKLOG,
    )


def _internal_config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``ConfigError`` naming what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "stop what uses it or choose another port"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
