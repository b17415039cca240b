"""The keys that tokens are verified with, kept up to date."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tidewire.http.token_check import KeyFetching

__all__ = ["kept_fetched"]


@asynccontextmanager
async def kept_fetched(
    fetching: KeyFetching | None, on_ended: Callable[["asyncio.Task[None]"], None]
) -> AsyncIterator[None]:
    """Published keys are kept up to date as long as the block lasts; ``on_ended``: they are no more, by a bug."""
    if fetching is None:
        yield
        return
    task = asyncio.create_task(fetching.run(), name="fetch-token-keys")
    task.add_done_callback(on_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
