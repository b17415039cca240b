"""Tokens that were verified a moment ago: who reconnects with the same one costs a look-up."""

import time
from collections.abc import Callable
from hashlib import sha256

from tidewire.identity.tokens import Identity, TokenVerifier

__all__ = ["KnownTokens"]

_MOST = 16_384


class KnownTokens:
    """Good tokens by a digest, until they expire, a key is withdrawn or ``most`` newer ones were seen; a bad one is never known.

    ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        most: int = _MOST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._most = most
        self._clock = clock
        self._by_digest: dict[bytes, Identity] = {}
        verifier.on_withdrawn(self._by_digest.clear)

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for; raises ``IdentityError``."""
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        identity = self._by_digest.get(digest)
        if identity is not None and self._clock() < identity.expires_at:
            return identity
        self._by_digest.pop(digest, None)
        identity = self._verifier.verify(token)  # it forgives a clock that is a little ahead
        if len(self._by_digest) >= self._most:
            del self._by_digest[next(iter(self._by_digest))]
        self._by_digest[digest] = identity
        return identity
