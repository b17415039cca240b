"""The key that services show one another on internal ports: a file, one key a line."""

import hmac
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..config.errors import ConfigError

__all__ = ["MAKE_A_KEY", "InternalKeys", "headers_of", "load_internal_keys", "read_internal_keys"]

MAKE_A_KEY: Final = "(umask 077; openssl rand -hex 32 > {path})"
"""The command, for people."""

_MOST_KEYS: Final = 8
_MOST_BYTES: Final = 16 * 1024
_SHORTEST: Final = 43  # 32 bytes in base64
_SHORTEST_HEX: Final = 64  # 32 bytes
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, 2.1: what a bearer header holds


class InternalKeys:
    """What is accepted, and ``sent``, the first, which goes out. Neither is ever shown."""

    def __init__(self, keys: Sequence[str]) -> None:
        assert keys
        self.sent = keys[0]
        self._accepted = tuple(key.encode("ascii") for key in keys)

    @property
    def accepted(self) -> tuple[bytes, ...]:
        return self._accepted

    def accepts(self, shown: str) -> bool:
        """In a time that tells nothing of what the keys are."""
        told = shown.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(told, key) for key in self._accepted)


def headers_of(keys: InternalKeys | None) -> dict[str, str]:
    """What a caller sends; nothing where there is no key."""
    return {} if keys is None else {"Authorization": f"Bearer {keys.sent}"}


def load_internal_keys(path: Path | None) -> InternalKeys | None:
    """What stands in the file that a setting names; None where it names none. Raises ``ConfigError``."""
    return None if path is None else read_internal_keys(path)


def read_internal_keys(path: Path) -> InternalKeys:
    """Read the file: the first line is sent, all are accepted, so that a key can be replaced while everything runs.

    Raises ``ConfigError`` naming the file and the cure, and nothing of what stands in it.
    """
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such internal key; make it with: {MAKE_A_KEY.format(path=path)}"
        ) from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot read the internal key: {e.strerror}") from e
    except UnicodeDecodeError:
        raise _unusable(path, "an internal key is ASCII text") from None
    keys = [line.strip() for line in text.splitlines() if line.strip()]
    if not keys:
        raise _unusable(path, "no internal key stands in it")
    if len(keys) > _MOST_KEYS or len(text) > _MOST_BYTES:
        raise ConfigError(
            f"{path}: an internal key file has {_MOST_KEYS} keys at most, one a line: is it the right file?"
        )
    for number, key in enumerate(keys, 1):
        _check(path, number, key)
    return InternalKeys(keys)


def _check(path: Path, number: int, key: str) -> None:
    if _TOKEN.fullmatch(key) is None:
        raise _unusable(path, f"key {number} has characters that no bearer header holds")
    if _HEX.fullmatch(key) and len(key) < _SHORTEST_HEX:
        raise _unusable(
            path, f"key {number}, in hex, has {len(key)} digits of at least {_SHORTEST_HEX}"
        )
    if len(key) < _SHORTEST:
        raise _unusable(path, f"key {number} has {len(key)} characters of at least {_SHORTEST}")


def _unusable(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}; make one with: {MAKE_A_KEY.format(path=path)}")
