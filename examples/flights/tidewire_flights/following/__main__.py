"""The service that lets visitors follow flights: ``python -m tidewire_flights.following --kafka HOST:PORT …``.

Exit codes: 0 ended by a signal · 1 the broker failed · 2 an option or a file cannot be used.
"""

import argparse
import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from fastapi import FastAPI

from tidewire.config.errors import ConfigError
from tidewire.config.listening import bind
from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.errors import TidewireError
from tidewire.http.serving import make_server
from tidewire.identity.keys import load_key
from tidewire.kafka.confluent_clients import ConfluentReader
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import AsyncPublisher
from tidewire.telemetry.logging import configure_logging

from .. import streams_file
from ..events import FLIGHTS
from .app import Parts, create_app, load_followers
from .errors import LedgerError
from .ledger import Ledger
from .teller import Teller
from .visitors import Visitors

__all__ = ["main"]

SOURCE: Final = "tidewire-flights-following"
_HOST: Final = "127.0.0.1"  # anybody who reaches it is given a token
_SHUTDOWN_TIMEOUT: Final = 2


@dataclass(frozen=True, slots=True)
class Options:
    kafka: KafkaSettings
    stream: Stream
    key: bytes
    data: Path
    run_file: Path
    port: int
    is_json: bool


def main(arguments: Sequence[str] | None = None) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)  # uvicorn raises the signal again once it has shut down
    configure_logging("following", dev=True)
    try:
        options = _parse(arguments)
        with bind(_HOST, options.port, "--port") as sock, Ledger(options.data) as ledger:
            asyncio.run(_run(options, ledger, sock))
    except (ConfigError, LedgerError) as error:
        sys.stderr.write(f"tidewire_flights.following: {error}\n")
        return 2
    except TidewireError as error:
        sys.stderr.write(f"tidewire_flights.following: {error}\n")
        return 1
    return 0


async def _run(options: Options, ledger: Ledger, sock: socket.socket) -> None:
    followers = load_followers(ledger, time.time())
    reader = ConfluentReader(options.kafka)
    await reader.start()
    try:
        async with AsyncPublisher.connect(options.kafka, source=SOURCE) as publisher:
            teller = Teller(reader, publisher, options.stream, followers=followers, ledger=ledger)
            await teller.begin()
            visitors = Visitors(options.key)
            app = create_app(Parts(visitors, followers, ledger, teller, options.run_file))
            try:
                await _serve(app, sock, is_json=options.is_json)
            finally:
                teller.keep()
    finally:
        await reader.close()


async def _serve(app: FastAPI, sock: socket.socket, *, is_json: bool) -> None:
    server = make_server(app, sock, shutdown_timeout=_SHUTDOWN_TIMEOUT, is_ready_told=is_json)
    await server.serve(sockets=[sock])
    if app.state.failure is not None:
        raise app.state.failure


def _exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="tidewire_flights.following", description=__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT", help="broker to read")
    parser.add_argument("--streams", type=Path, default=streams_file(), metavar="FILE")
    parser.add_argument(
        "--token-key", type=Path, required=True, metavar="FILE", help="the gateways' key of tokens"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="who follows what is kept there"
    )
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        metavar="FILE",
        help="ready message of the run: its pages may call",
    )
    parser.add_argument("--port", type=int, default=0, help="on loopback (default: a free one)")
    parser.add_argument("--fetch-pause", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true", help="say on stdout when it is ready")
    parsed = parser.parse_args(arguments)
    streams = load_streams(parsed.streams).streams
    if FLIGHTS not in streams:
        raise ConfigError(
            f"{parsed.streams} has no stream `{FLIGHTS}`: add it as in {streams_file()}"
        )
    return Options(
        _kafka_settings(parsed.kafka, parsed.fetch_pause),
        streams[FLIGHTS],
        load_key(parsed.token_key),
        parsed.data,
        parsed.run,
        parsed.port,
        parsed.json,
    )


def _kafka_settings(bootstrap: str, fetch_pause: float) -> KafkaSettings:
    try:
        return KafkaSettings(bootstrap=bootstrap, client_id=SOURCE, fetch_pause=fetch_pause)
    except ValueError as error:
        raise ConfigError(
            f"--kafka {bootstrap} or --fetch-pause {fetch_pause:g} cannot be used; example: "
            "--kafka 127.0.0.1:9092 --fetch-pause 0"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
