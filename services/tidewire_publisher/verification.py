"""The tokens of requests: verified, checked against what is revoked, and counted where they are refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tidewire.http.token_check import KeyFetching, RefusedTokens
from tidewire.identity.claims import Identity
from tidewire.identity.errors import IdentityError
from tidewire.identity.tokens import TokenVerifier
from tidewire.revocation.reading import RevocationReader
from tidewire.telemetry.metrics import Metrics

__all__ = ["Verification", "kept_fetched"]


class Verification:
    """``revocations`` None: all tokens stay good."""

    def __init__(
        self, verifier: TokenVerifier, revocations: RevocationReader | None, metrics: Metrics
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._refused = RefusedTokens(metrics)

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for; raises ``IdentityError``, as `TokenVerifier.verify` does."""
        try:
            identity = self._verifier.verify(token)
            if self._revocations is not None:
                self._revocations.check(identity)
        except IdentityError as error:
            self._refused.count(error)
            raise
        return identity


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
