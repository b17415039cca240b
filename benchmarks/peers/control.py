"""The control protocol's side of a server: one JSON line out, one command a line in."""

import argparse
import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator

__all__ = ["commands", "listen", "port_of", "say", "say_ready"]

_BACKLOG = 4096


def port_of(about: str | None) -> int:
    """The option ``--port`` of a peer's command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    return int(parser.parse_args().port)


def listen(port: int) -> socket.socket:
    """A socket that listens on the loopback, 0: any port; the process may hold as many files as allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)


def say_ready(listening: socket.socket) -> None:
    url = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
    say("ready", url=url, pid=os.getpid())


def say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


async def commands() -> AsyncIterator[str]:
    """The lines of stdin, a pipe, until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield line.decode().strip()
