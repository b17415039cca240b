"""End a task in time, though it would rather wait."""

import asyncio
from typing import Any

__all__ = ["end_task"]

_PATIENCE = (0.25, 0.25, 0.25)


async def end_task(task: "asyncio.Task[Any]") -> bool:
    """Cancel it until it has ended, within a second; whether it has.

    A Kafka client whose broker is away waits again after it was cancelled: to take its leave.
    """
    for patience in _PATIENCE:
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=patience)
    return task.done()
