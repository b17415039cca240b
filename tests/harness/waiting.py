"""Wait for a condition with a deadline; the failure says what was waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

__all__ = ["eventually", "wait_until"]

T = TypeVar("T")
POLL_INTERVAL = 0.02


def wait_until(condition: Callable[[], T | None], *, within: float = 10.0, what: str = "") -> T:
    """The first truthy answer of ``condition``; `AssertionError` after ``within`` seconds. Blocks."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, _late(within, what, answer)
        time.sleep(POLL_INTERVAL)


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]], *, within: float = 10.0, what: str = ""
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None], *, within: float = 10.0, what: str = ""
) -> T: ...
async def eventually(condition: Callable[[], Any], *, within: float = 10.0, what: str = "") -> Any:
    """`wait_until` for an event loop; ``condition`` may be a plain or a coroutine function."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if isinstance(answer, Awaitable):
            answer = await asyncio.wait_for(answer, max(0.01, deadline - time.monotonic()))
        if answer:
            return answer
        assert time.monotonic() < deadline, _late(within, what, answer)
        await asyncio.sleep(POLL_INTERVAL)


def _late(within: float, what: str, answer: object) -> str:
    return f"not within {within:g} s: {what or 'the condition'} (last answer: {answer!r})"
