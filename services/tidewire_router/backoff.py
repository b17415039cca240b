"""Pauses between attempts: longer each time, with full jitter."""

import asyncio
import random
from typing import Final

__all__ = ["Backoff"]

_FIRST: Final = 0.1
_DOUBLINGS: Final = 10


class Backoff:
    """``most``: the longest pause, in seconds."""

    def __init__(self, most: float = 2.0) -> None:
        self._most = most
        self.failures = 0

    async def pause(self) -> None:
        longest = min(self._most, _FIRST * 2.0 ** min(self.failures, _DOUBLINGS))
        self.failures += 1
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        self.failures = 0
