"""End a task in time, though it would rather wait; and have one that ends by a fault say so."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ..telemetry.logging import get_logger

__all__ = ["end_task", "tell_fault"]

_AGAIN: Final = 0.25
"""Seconds that a cancelled task may take its leave before it is cancelled once more."""

_log = get_logger(__name__)


async def end_task(task: "asyncio.Task[Any]", within: float = 0.75) -> bool:
    """Cancel it until it has ended, for so many seconds at most; whether it has.

    A Kafka client whose broker is away waits again after it was cancelled: to take its leave.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not task.done():
        task.cancel()
        left = deadline - loop.time()
        if left <= 0:
            break
        await asyncio.wait({task}, timeout=min(_AGAIN, left))
    return task.done()


def tell_fault(what: str) -> "Callable[[asyncio.Task[None]], None]":
    """For `add_done_callback`: logs a fault of ours, with ``what`` has ended by it, where nobody waits for the task."""

    def tell(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error(
                "a part of the console has ended by a fault of ours", part=what, exc_info=error
            )

    return tell
