"""What became of flushes with sampled events, on its way to `tidewire.flows`: bounded, and never in anybody's way."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import orjson

from tidewire.system.streams import FLOWS
from tidewire.system.writer import SystemWriter

from ..core.allowance import Allowance

__all__ = ["MOST_PER_SECOND", "FlowLog"]

MOST_PER_SECOND: Final = 20
_MOST_WAITING: Final = 100


class FlowLog:
    """`offer` takes a flow; `run` writes.

    ``count`` is called for each: ``"told"`` once it stands in Kafka, ``"dropped"`` where it never will, since there were more
    than may be, or may wait, or since Kafka did not take it.
    """

    def __init__(
        self,
        writer: SystemWriter,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._writer = writer
        self._clock = clock
        self._allowance = Allowance(MOST_PER_SECOND, 1.0, clock())
        self._waiting: deque[dict[str, Any]] = deque()
        self._has_come = asyncio.Event()

    def offer(self, flow: dict[str, Any]) -> None:
        if len(self._waiting) >= _MOST_WAITING or self._allowance.take(self._clock()):
            self._count("dropped")
            return
        self._waiting.append(flow)
        self._has_come.set()

    async def run(self) -> None:
        """Until cancelled. What gathers while some are being written goes out together."""
        while True:
            await self._has_come.wait()
            self._has_come.clear()
            flows, self._waiting = self._waiting, deque()
            await asyncio.gather(*map(self._write, flows))

    async def _write(self, flow: dict[str, Any]) -> None:
        is_told = await self._writer.write(FLOWS, flow["trace"], orjson.dumps(flow))
        self._count("told" if is_told else "dropped")
