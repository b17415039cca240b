"""Waiting until an event loop has let go of its connections: over TLS that takes a moment, which not every client waits for."""

import asyncio
from typing import Any

from harness.waiting import eventually

__all__ = ["connections_end"]

_OWN = 1
"""By which other threads wake the loop."""


async def connections_end() -> None:
    loop: Any = asyncio.get_running_loop()
    await eventually(lambda: len(loop._selector.get_map()) <= _OWN, what="the connections' end")
