"""Scripts and commands on Redis: one round trip each, bounded in time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from tidewire.targeting.redis_calls import asking

__all__ = ["Argument", "Commands", "Script"]

Argument = str | bytes | int
_MOST_AT_ONCE: Final = 24
"""Calls under way; others wait for their turn, not for one of the pool's connections."""


class Script:
    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Commands:
    """``key`` is every script's only key; ``timeout``: seconds for a call, its turn included.

    All raise `StoreUnavailableError`.
    """

    def __init__(self, client: Redis, key: str, timeout: float) -> None:
        self._client = client
        self._key = key
        self._timeout = timeout
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def run(self, script: Script, *arguments: Argument) -> Any:
        return (await self.run_each(script, [arguments]))[0]

    async def run_each(self, script: Script, calls: Sequence[Sequence[Argument]]) -> Sequence[Any]:
        """The answers to one call per sequence of arguments, in one round trip."""
        commands = [("EVALSHA", script.sha, 1, self._key, *arguments) for arguments in calls]
        async with self._turn():
            try:
                return await self._send(commands)
            except NoScriptError:  # a server that was restarted, or took over
                await self._client.script_load(script.text)
                return await self._send(commands)

    async def ask(self, commands: Sequence[Sequence[Argument]]) -> Sequence[Any]:
        """The answers to plain commands, as Redis gives them, in one round trip."""
        async with self._turn():
            return await self._send(commands)

    async def close(self) -> None:
        async with self._turn():
            await self._client.aclose()

    async def _send(self, commands: Sequence[Sequence[Argument]]) -> Sequence[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: Sequence[Any] = await pipeline.execute()
        return answers

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with asking(self._client):
            try:
                async with asyncio.timeout(self._timeout), self._turns:
                    yield
            except TimeoutError as error:
                raise TimeoutError(str(error) or f"no answer within {self._timeout:g} s") from None
