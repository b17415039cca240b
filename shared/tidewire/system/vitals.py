"""How this process is: the processor time that it used, its memory, how late its loop was at worst."""

import asyncio
import os
import time
from typing import Final

from .records import Vitals

__all__ = ["ProcessVitals", "resident_memory"]

_INTERVAL: Final = 0.1
_STATM: Final = "/proc/self/statm"
_STATM_BYTES: Final = 256


class ProcessVitals:
    """`watch` measures the loop until cancelled; `look` tells what was since the last look."""

    def __init__(self) -> None:
        self._used = time.process_time()
        self._looked_at = time.monotonic()
        self._loop_lag = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._loop_lag = max(self._loop_lag, loop.time() - expected)

    def look(self) -> Vitals:
        used, now = time.process_time(), time.monotonic()
        passed = max(now - self._looked_at, 1e-3)
        vitals = Vitals((used - self._used) / passed, resident_memory(), self._loop_lag)
        self._used, self._looked_at, self._loop_lag = used, now, 0.0
        return vitals


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
