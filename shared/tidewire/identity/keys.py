"""The HS256 key file: hex text that only its owner may read."""

import contextlib
import os
import secrets
from pathlib import Path

from ..config.errors import ConfigError

__all__ = ["ensure_key", "load_key"]

MIN_KEY_BYTES = 32  # RFC 7518, 3.2: at least as long as the hash
_PEM = b"-----BEGIN "


def load_key(path: Path) -> bytes:
    """Read a key file; raises ``ConfigError`` naming the file and the cure."""
    try:
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such token key; `tidewire dev` makes one in its data directory, "
            f"or make it with: (umask 077; openssl rand -hex {MIN_KEY_BYTES} > {path})"
        ) from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot read the token key: {e.strerror}") from e
    except ValueError:
        raise ConfigError(f"{path}: a token key is hex digits (0-9 a-f) and nothing else") from None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(
            f"{path}: a token key has at least {MIN_KEY_BYTES * 2} hex digits, "
            f"this one {len(key) * 2}"
        )
    if _PEM in key:
        raise ConfigError(
            f"{path}: is a PEM file written as hex, which is no secret: give the PEM file itself in TOKENS__KEY_FILES"
        )
    return key


def ensure_key(path: Path) -> bytes:
    """Read the key file; make it first (mode 0600, random) where there is none.

    Safe against a second process that does the same: one key wins, both read it.
    """
    if not path.exists():
        try:
            _make_key(path)
        except OSError as e:
            raise ConfigError(f"{path}: cannot write the token key: {e.strerror}") from e
    return load_key(path)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(MIN_KEY_BYTES) + "\n")
        with contextlib.suppress(FileExistsError):  # another process was first: its key stands
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
