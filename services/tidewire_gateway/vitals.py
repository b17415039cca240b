"""How a node's process is doing: how late its loop is, and how much memory it holds."""

import asyncio
import os

from .core.peaks import RecentPeak
from .instruments import Instruments

__all__ = ["Vitals", "resident_memory"]

_INTERVAL = 0.1
_LAG_WINDOW = 3.0
_MEMORY_INTERVAL = 1.0
_STATM = "/proc/self/statm"
_STATM_BYTES = 256


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

    async def watch(self) -> None:
        """Measure the loop by a timer that does nothing else, and now and then the memory."""
        memory_at = 0.0
        while True:
            expected = self._loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            now = self._loop.time()
            lateness = max(0.0, now - expected)
            self._lag.measured(lateness, now)
            self._instruments.loop_lateness.observe(lateness)
            self._instruments.loop_lag.set(self._lag.at(now))
            if now >= memory_at:
                memory_at = now + _MEMORY_INTERVAL
                self.memory = resident_memory()


def resident_memory() -> int:
    """Bytes of this process that are in memory; 0 where the system does not tell (Linux does)."""
    try:
        descriptor = os.open(_STATM, os.O_RDONLY)
    except OSError:
        return 0
    try:
        pages = os.pread(descriptor, _STATM_BYTES, 0).split()[1]
    finally:
        os.close(descriptor)
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
