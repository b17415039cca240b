"""``python -m benchmarks.baseline --port P --kafka HOST:PORT --topic NAME [--writer queue|await]``."""

import argparse
import asyncio
import socket

import uvicorn
import uvloop

from ..peers.control import commands, listen, say_ready
from .app import create_app
from .fanout import AwaitedFanout, Fanout, QueuedFanout

__all__ = ["main"]

_SHUTDOWN_TIMEOUT = 1
_QUEUE_SIZE = 1000


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            say_ready(sockets[0])


async def _serve(options: argparse.Namespace) -> None:
    fanout: Fanout = (
        QueuedFanout(options.queue_size) if options.writer == "queue" else AwaitedFanout()
    )
    config = uvicorn.Config(
        create_app(options.kafka, options.topic, fanout),
        http="httptools",
        ws="websockets-sansio",  # uvicorn's default, and the faster one
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the load client answers none
        log_level="warning",
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )
    server = _Server(config)
    ending = asyncio.create_task(_end_with_stdin(server))
    await server.serve(sockets=[listen(options.port)])
    ending.cancel()


async def _end_with_stdin(server: uvicorn.Server) -> None:
    async for _ in commands():
        pass
    server.should_exit = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--writer", choices=["queue", "await"], default="queue")
    parser.add_argument("--queue-size", type=int, default=_QUEUE_SIZE)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options))


if __name__ == "__main__":
    main()
