"""Look over all connections of a node, some times a second, for bytes that stay unsent."""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from .instruments import Instruments

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["sweep_forever"]

_INTERVAL = 0.25
_PROBED = 8
"""One connection in so many is also asked for what the kernel holds unsent: a system call, where bytes were written."""
_SLICE = 200
"""Connections looked at before the loop may do something else: well below 1 ms, system calls included."""


async def sweep_forever(connections: Collection["Connection"], instruments: Instruments) -> None:
    """Until cancelled; what it finds makes connections congested, and the queued bytes known."""
    turn = 0
    while True:
        await asyncio.sleep(_INTERVAL)
        turn += 1
        await _sweep(connections, instruments, turn)


async def _sweep(
    connections: Collection["Connection"], instruments: Instruments, turn: int
) -> None:
    now = asyncio.get_running_loop().time()
    total = highest = congested = 0
    for number, connection in enumerate(list(connections), 1):
        is_probed = (number + turn) % _PROBED == 0
        queued = connection.sweep(now, _PROBED * _INTERVAL if is_probed else 0.0)
        total += queued
        highest = max(highest, queued)
        congested += connection.is_congested
        if number % _SLICE == 0:
            await asyncio.sleep(0)
            now = asyncio.get_running_loop().time()
    instruments.queued_bytes.set(total)
    instruments.queued_bytes_max.set(highest)
    instruments.connections_congested.set(congested)
