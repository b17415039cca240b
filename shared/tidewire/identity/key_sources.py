"""The keys that a service's settings name."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..config.errors import ConfigError
from .jwks import JwksKeys
from .key_files import load_keys
from .key_ring import ASYMMETRIC, Algorithm, KeyRing, VerificationKey, shared_key
from .keys import load_key
from .settings import TokenSettings

__all__ = ["KeyFilesThenJwks", "accepted", "named_keys"]


class KeyFilesThenJwks:
    """A `KeySource`: keys from files, and those that are published where none of them fits."""

    def __init__(self, files: KeyRing, published: JwksKeys) -> None:
        self._files = files
        self._published = published

    def held(self, algorithm: Algorithm, name: str | None) -> tuple[VerificationKey, ...]:
        return (*self._published.held(algorithm, name), *self._files.held(algorithm, name))

    def require(self, name: str | None) -> None:
        self._published.require(name)

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        self._published.on_withdrawn(forget)


def named_keys(
    settings: TokenSettings, token_key_file: Path | None, prefix: str
) -> list[VerificationKey]:
    """Those in files; raises ``ConfigError`` where one cannot be used, or does not fit ``ALGORITHMS``."""
    keys = [shared_key(load_key(token_key_file))] if token_key_file else []
    keys += load_keys(settings.key_files)
    _check_algorithms(settings, keys, prefix)
    return keys


def accepted(settings: TokenSettings, keys: Sequence[VerificationKey]) -> frozenset[Algorithm]:
    """The algorithms that a token may be signed with."""
    if settings.algorithms:
        return frozenset(settings.algorithms)
    published = ASYMMETRIC if settings.jwks_url else frozenset()
    return published | {key.algorithm for key in keys}


def _check_algorithms(
    settings: TokenSettings, keys: Sequence[VerificationKey], prefix: str
) -> None:
    if not settings.algorithms:
        return
    variable = f"{prefix}TOKENS__ALGORITHMS"
    for key in keys:
        if key.algorithm not in settings.algorithms:
            raise ConfigError(
                f"{variable}: the key {key.name or 'of TOKEN_KEY_FILE'} is for {key.algorithm}, which is not accepted: "
                "add the algorithm, or leave the key out"
            )
    had = {key.algorithm for key in keys} | (ASYMMETRIC if settings.jwks_url else set())
    for algorithm in settings.algorithms:
        if algorithm not in had:
            raise ConfigError(
                f"{variable}: there is no key for {algorithm}: add its file to {prefix}TOKENS__KEY_FILES, "
                "or leave the algorithm out"
            )
