"""How a node's process is doing: how late its loop is, and how much memory it holds."""

import asyncio
from collections.abc import Callable

from tidewire.system.vitals import resident_memory

from .core.peaks import RecentPeak
from .instruments import Instruments

__all__ = ["Vitals"]

_INTERVAL = 0.1
_LAG_WINDOW = 3.0
_SLOW_INTERVAL = 1.0


class Vitals:
    """`watch` measures until cancelled; ``memory`` is resident bytes, 0 where the system does not tell."""

    def __init__(self, instruments: Instruments) -> None:
        self.memory = 0
        self._instruments = instruments
        self._loop = asyncio.get_running_loop()
        self._lag = RecentPeak(_LAG_WINDOW)

    @property
    def loop_lag(self) -> float:
        """The worst lateness of the loop within the last seconds, in seconds."""
        return self._lag.at(self._loop.time())

    async def watch(self, each_second: Callable[[], None]) -> None:
        """Measure the loop by a timer that does little else; ``each_second`` goes with looking at the memory."""
        slow_at = 0.0
        while True:
            expected = self._loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            now = self._loop.time()
            lateness = max(0.0, now - expected)
            self._lag.measured(lateness, now)
            self._instruments.loop_lateness.observe(lateness)
            self._instruments.loop_lag.set(self._lag.at(now))
            if now >= slow_at:
                slow_at = now + _SLOW_INTERVAL
                self.memory = resident_memory()
                each_second()
