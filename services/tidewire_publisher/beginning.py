"""The publisher has begun once Kafka was asked for the first time: for topics, and for what is revoked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tidewire.revocation.reading import RevocationReader

__all__ = ["Beginning"]


class Beginning:
    """``begin`` is called once both were answered or took too long; ``revocations`` None: no tokens are taken."""

    def __init__(self, begin: Callable[[], None], revocations: RevocationReader | None) -> None:
        self._begin = begin
        self._revocations = revocations
        self._tried = asyncio.Event()

    def tried(self) -> None:
        """The first attempt to reach Kafka has ended, whichever way."""
        self._tried.set()
        if self._revocations is None:
            self._begin()

    @asynccontextmanager
    async def followed(
        self, on_ended: Callable[["asyncio.Task[None]"], None]
    ) -> AsyncIterator[None]:
        """Read what is revoked as long as the block lasts; ``on_ended``: it cannot be read any more."""
        if self._revocations is None:
            yield
            return
        async with self._revocations.followed() as reading:
            reading.add_done_callback(on_ended)
            waiting = asyncio.create_task(self._wait(self._revocations), name="begin")
            try:
                yield
            finally:
                waiting.cancel()

    async def _wait(self, revocations: RevocationReader) -> None:
        await self._tried.wait()
        await revocations.known()
        self._begin()
