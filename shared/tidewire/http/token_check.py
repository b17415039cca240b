"""How a service checks tokens: with which keys, kept up to date, counted and told of."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter

from ..identity.claims import Identity
from ..identity.errors import IdentityError, KeyNeededError
from ..identity.jwks import JwksKeys
from ..identity.jwks_http import JwksUnavailableError, JwksUrl
from ..identity.key_ring import ASYMMETRIC, KeyRing
from ..identity.key_sources import KeyFilesThenJwks, accepted, named_keys
from ..identity.settings import TokenSettings
from ..identity.tokens import TokenVerifier
from ..revocation.reading import RevocationReader
from ..telemetry.logging import get_logger
from ..telemetry.metrics import Metrics, label_or_other

__all__ = ["KeyFetching", "RefusedTokens", "TokenCheck", "Verification", "make_token_check"]

_log = get_logger(__name__)


class RefusedTokens:
    """Counts them by what was wrong."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused: dict[str, Counter] = metrics.counters("tokens_refused_total", "reason")

    def count(self, error: IdentityError) -> None:
        """Nobody is refused yet who waits for a key."""
        if not isinstance(error, KeyNeededError):
            label_or_other(self._refused, error.refusal).inc()


class Verification:
    """The tokens of a service: verified, held against what is revoked, and counted where they are refused.

    ``verify`` is that of a `TokenVerifier`, or of who remembers what it said; ``revocations`` None: all tokens stay good.
    """

    def __init__(
        self,
        verify: Callable[[str], Identity],
        revocations: RevocationReader | None,
        refused: RefusedTokens,
    ) -> None:
        self._verify = verify
        self._revocations = revocations
        self._refused = refused

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for; raises ``IdentityError``, as `TokenVerifier.verify` does."""
        try:
            identity = self._verify(token)
            if self._revocations is not None:
                self._revocations.check(identity)
        except IdentityError as error:
            self._refused.count(error)
            raise
        return identity


class KeyFetching:
    """Keeps the published keys up to date while `run` does."""

    def __init__(self, url: JwksUrl, keys: JwksKeys) -> None:
        self._url = url
        self._keys = keys

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._keys.run()
        finally:
            await self._url.close()


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """``fetching`` has to run for as long as ``verifier`` is used; None where all keys are in files."""

    verifier: TokenVerifier
    fetching: KeyFetching | None


def make_token_check(
    settings: TokenSettings, token_key_file: Path | None, prefix: str, metrics: Metrics
) -> TokenCheck | None:
    """None where no keys are named; raises ``ConfigError`` for those that cannot be used. Blocks: it reads files."""
    keys = named_keys(settings, token_key_file, prefix)
    if not keys and settings.jwks_url is None:
        return None
    algorithms, ring = accepted(settings, keys), KeyRing(keys)
    if settings.jwks_url is None:
        return TokenCheck(TokenVerifier(ring, settings.policy, algorithms=algorithms), None)
    url = JwksUrl(settings.jwks_url, ca_file=settings.jwks_ca_file)
    published = JwksKeys(
        url.fetch,
        algorithms=algorithms & ASYMMETRIC,
        times=settings.times,
        on_fetched=_Fetches(metrics, f"{prefix}TOKENS__JWKS_URL").ended,
    )
    source = KeyFilesThenJwks(ring, published)
    verifier = TokenVerifier(source, settings.policy, algorithms=algorithms)
    return TokenCheck(verifier, KeyFetching(url, published))


class _Fetches:
    """Counts every fetch, and tells when they begin and cease to fail."""

    def __init__(self, metrics: Metrics, setting: str) -> None:
        self._fetches = metrics.counters("jwks_fetches_total", "outcome")
        self._fetched_at = metrics.gauge("jwks_fetched_seconds")
        self._setting = setting
        self._is_failing = False
        self._is_known = False

    def ended(self, failure: JwksUnavailableError | None) -> None:
        if failure is None:
            self._fetches["fetched"].inc()
            self._fetched_at.set(time.time())
            if self._is_failing or not self._is_known:
                _log.info("token keys fetched")
            self._is_failing, self._is_known = False, True
            return
        self._fetches[failure.outcome].inc()
        if not self._is_failing:
            _log.warning(
                "token keys cannot be fetched, which is tried again; those that are known stay good"
                if self._is_known
                else "token keys cannot be fetched, which is tried again; tokens are refused until then",
                setting=self._setting,
                error=str(failure),
            )
        self._is_failing = True
