"""Keys that tokens are verified with: each knows the one algorithm it is for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

__all__ = ["ASYMMETRIC", "Algorithm", "KeyRing", "KeySource", "VerificationKey", "shared_key"]


class Algorithm(StrEnum):
    """Those that are understood (RFC 7518, 3.1; RFC 8037, 3.1): there is no `none` among them."""

    HS256 = "HS256"
    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


ASYMMETRIC = frozenset(Algorithm) - {Algorithm.HS256}
"""Those whose keys may be published."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """``key`` as the algorithm takes it; two are the same key where they have the same ``fingerprint``.

    ``name`` is what tokens may call it by (`kid`).
    """

    algorithm: Algorithm
    key: Any = field(compare=False, repr=False)
    fingerprint: bytes = field(repr=False)
    name: str | None = None


class KeySource(Protocol):
    """Where a verifier has its keys from."""

    def held(self, algorithm: Algorithm, name: str | None) -> tuple[VerificationKey, ...]:
        """Those that a token may be signed with which names this algorithm and key."""
        ...

    def require(self, name: str | None) -> None:
        """None of those fitted: raises ``KeysUnavailableError`` where others may come, ``InvalidTokenError`` where none will.

        Returns where there are no others, and the signature is wrong.
        """
        ...

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        """Have ``forget`` called whenever a key that was good is good no more."""
        ...


class KeyRing:
    """Keys that stay as they are. A name is a hint among them: one that nobody knows leaves all of the algorithm."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._by_algorithm: dict[Algorithm, tuple[VerificationKey, ...]] = {}
        self._by_name: dict[tuple[Algorithm, str], tuple[VerificationKey, ...]] = {}
        for key in keys:
            self._by_algorithm[key.algorithm] = (*self._by_algorithm.get(key.algorithm, ()), key)
            if key.name is not None:
                place = key.algorithm, key.name
                self._by_name[place] = (*self._by_name.get(place, ()), key)

    def held(self, algorithm: Algorithm, name: str | None) -> tuple[VerificationKey, ...]:
        named = None if name is None else self._by_name.get((algorithm, name))
        return named or self._by_algorithm.get(algorithm, ())

    def require(self, name: str | None) -> None:
        return

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        return


def shared_key(key: bytes, name: str | None = None) -> VerificationKey:
    """The HS256 key that issuer and verifier share."""
    return VerificationKey(Algorithm.HS256, key, key, name)
