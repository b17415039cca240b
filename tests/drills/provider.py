"""The identity provider of a drill: keys, the tokens they sign, and a server that publishes them and counts who asks."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from harness.issuer import IssuerKey, JwksServer, running_jwks

__all__ = ["START_TIMEOUT", "identity_provider"]

START_TIMEOUT = 10.0


@contextmanager
def identity_provider(*keys: IssuerKey) -> Iterator[JwksServer]:
    """Answers from a thread of its own until the block is left; to change what it publishes is safe from any other."""
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    started = threading.Event()
    serving: list[JwksServer] = []

    async def serve() -> None:
        async with running_jwks(*keys) as jwks:
            serving.append(jwks)
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="provider")
    thread.start()
    try:
        assert started.wait(START_TIMEOUT), "the provider does not start"
        yield serving[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
