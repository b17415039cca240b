"""Making bearer tokens for development and tests."""

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jwt

from .rights import Action, parse_pattern
from .tokens import ALGORITHM, AUDIENCE, DEV_ISSUER

__all__ = ["issue_token"]


def issue_token(key: bytes, user: str, caps: Mapping[str, Iterable[Action]], *, ttl: float) -> str:
    """A token for ``user`` that a verifier with the same key accepts for ``ttl`` seconds."""
    now = time.time()
    claims: dict[str, Any] = {
        "sub": user,
        "aud": AUDIENCE,
        "iss": DEV_ISSUER,
        "iat": int(now),
        "jti": secrets.token_hex(8),
        "exp": int(now + ttl),
        "caps": {parse_pattern(p): sorted(map(str, actions)) for p, actions in caps.items()},
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM.value)
