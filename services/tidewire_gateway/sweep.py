"""Look over the connections of a node, some times a second, for bytes that stay unsent."""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING

from .instruments import Instruments

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Sweep"]

_INTERVAL = 0.25
_PROBED = 8
"""One connection in so many is asked in each sweep for what the kernel alone holds: a system call."""
_SLICE = 200
"""Connections looked at before the loop may do something else: well below 1 ms, system calls included."""


class Sweep:
    """Looks at those with unsent bytes each time, and at the others, where something was written, in turn.

    What it finds makes connections congested, and the queued bytes known.
    """

    def __init__(self, connections: Collection["Connection"], instruments: Instruments) -> None:
        self._connections = connections
        self._instruments = instruments
        self._watched: set[Connection] = set()
        self._turn = 0

    def watch(self, connection: "Connection") -> None:
        """Look at a connection each time until nothing of it is unsent."""
        self._watched.add(connection)

    def discard(self, connection: "Connection") -> None:
        """The connection has ended."""
        self._watched.discard(connection)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.turn()

    async def turn(self) -> None:
        """One sweep."""
        self._turn += 1
        await self._look_at_watched()
        await self._probe(self._turn % _PROBED)

    async def _look_at_watched(self) -> None:
        now = asyncio.get_running_loop().time()
        total = highest = congested = 0
        for number, connection in enumerate(list(self._watched), 1):
            queued = connection.sweep(now)
            total += queued
            highest = max(highest, queued)
            congested += connection.is_congested
            if not connection.needs_watching:
                self._watched.discard(connection)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
                now = asyncio.get_running_loop().time()
        self._instruments.queued_bytes.set(total)
        self._instruments.queued_bytes_max.set(highest)
        self._instruments.connections_congested.set(congested)

    async def _probe(self, first: int) -> None:
        now = asyncio.get_running_loop().time()
        probed = list(islice(self._connections, first, None, _PROBED))
        for number, connection in enumerate(probed, 1):
            if connection.has_written_since(now - _PROBED * _INTERVAL):
                connection.sweep(now)
                if connection.needs_watching:
                    self._watched.add(connection)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
                now = asyncio.get_running_loop().time()
