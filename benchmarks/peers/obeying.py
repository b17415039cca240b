"""The commands of the control protocol, carried out by a server in Python."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Protocol

import uvloop

from .control import commands, say

__all__ = ["Sender", "obey_commands", "run"]

_UNSENT_LIMIT = 65_536
"""Bytes that a flood lets wait in one connection: neither library knows back-pressure here."""
_COMMANDS = "commands: pace RATE SECONDS SIZE, flood COUNT SIZE, private RATE SECONDS SIZE"


class Sender(Protocol):
    """A server with its connections."""

    def send(self, number: int, at: int, size: int) -> None:
        """One frame to every connection."""
        ...

    def send_private(self, number: int, at: int, size: int) -> None:
        """To every connection a frame of its own."""
        ...

    def is_unsent(self, limit: int) -> bool:
        """Whether any connection has so many bytes waiting."""
        ...


async def obey_commands(sender: Sender) -> None:
    """Until stdin ends."""
    async for line in commands():
        try:
            frames = await _obey(sender, line)
        except ValueError as error:
            say("error", message=str(error))
        else:
            say("done", frames=frames)


def run(serve: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


async def _obey(sender: Sender, line: str) -> int:
    """The number of frames sent; `ValueError` for what is no command."""
    match line.split():
        case ["pace", rate, seconds, size]:
            return await _on_schedule(
                float(rate), float(seconds), lambda n, at: sender.send(n, at, int(size))
            )
        case ["private", rate, seconds, size]:
            return await _on_schedule(
                float(rate), float(seconds), lambda n, at: sender.send_private(n, at, int(size))
            )
        case ["flood", count, size]:
            return await _flood(sender, int(count), int(size))
    raise ValueError(_COMMANDS)


async def _flood(sender: Sender, frames: int, size: int) -> int:
    written = 0
    for number in range(frames):
        sender.send(number, time.monotonic_ns(), size)
        await asyncio.sleep(0)  # uvloop writes at the end of a turn: one frame a write
        written += size
        if written >= _UNSENT_LIMIT:
            await _sent_below(sender, _UNSENT_LIMIT)
            written = 0
    await _sent_below(sender, 1)
    return frames


async def _sent_below(sender: Sender, limit: int) -> None:
    while sender.is_unsent(limit):  # noqa: ASYNC110 - transports tell their protocol only
        await asyncio.sleep(0.001)


async def _on_schedule(rate: float, seconds: float, send: Callable[[int, int], None]) -> int:
    if not (rate > 0 and seconds >= 0):
        raise ValueError(_COMMANDS)
    frames = int(rate * seconds + 0.5)
    began = time.monotonic_ns()
    for number in range(frames):
        at = began + int(number * 1e9 / rate)
        while (early := at - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - a timer may fire early
            await asyncio.sleep(math.ceil(early / 1e6) / 1e3)  # uvloop counts in milliseconds
        send(number, at)
        await asyncio.sleep(0)
    return frames
