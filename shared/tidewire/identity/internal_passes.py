"""Passes: text that says for a while that who shows it has had the internal key (pure).

``<expires at>.<nonce>.<signature>``; it gives away nothing of the key.
"""

import hmac
import re
from typing import Final, NamedTuple

from .internal_keys import InternalKeys

__all__ = ["LOGIN", "LOGIN_TTL", "SESSION", "Pass", "issue_pass", "read_pass"]

LOGIN: Final = "console login"
"""Opens a session, once."""
LOGIN_TTL: Final = 60
"""Seconds."""
SESSION: Final = "console session"

_SHAPE: Final = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{16,64})\.([0-9a-f]{64})")


class Pass(NamedTuple):
    """``expires_at`` in Unix seconds."""

    expires_at: int
    nonce: str


def issue_pass(keys: InternalKeys, purpose: str, expires_at: int, nonce: str) -> str:
    """``nonce`` is random, 16 to 64 characters of base64url."""
    return f"{expires_at}.{nonce}.{_sign(keys.sent.encode('ascii'), purpose, expires_at, nonce)}"


def read_pass(keys: InternalKeys, purpose: str, text: str, now: float) -> Pass | None:
    """None for one that is over, made for something else, or by somebody else; ``now`` in Unix seconds."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    shown = Pass(int(shape[1]), shape[2])
    is_signed = any(
        hmac.compare_digest(shape[3], _sign(key, purpose, *shown)) for key in keys.accepted
    )
    return shown if is_signed and now < shown.expires_at else None


def _sign(key: bytes, purpose: str, expires_at: int, nonce: str) -> str:
    return hmac.digest(key, f"tidewire {purpose}\n{expires_at}\n{nonce}".encode(), "sha256").hex()
