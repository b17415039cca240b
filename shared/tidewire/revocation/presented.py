"""What a token says of itself, read without its key (pure): enough to revoke it, not to trust it."""

import base64
import binascii
from typing import Any, NamedTuple

import orjson

from .errors import BadTokenTextError

__all__ = ["PresentedToken", "presented_token"]

_MAX_CHARS = 16_384


class PresentedToken(NamedTuple):
    """``expires_at``: Unix seconds, None where it does not say."""

    token_id: str
    user: str | None
    expires_at: float | None


def presented_token(token: str) -> PresentedToken:
    """Raises `BadTokenTextError` for what is no JWT, and for a token without an id."""
    claims = _claims_of(token.strip())
    token_id, user, expires_at = claims.get("jti"), claims.get("sub"), claims.get("exp")
    if not isinstance(token_id, str) or not token_id:
        raise BadTokenTextError(
            "the token has no id (claim jti), by which it could be revoked alone: revoke its user's tokens with --user"
        )
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        expires_at = None
    return PresentedToken(
        token_id,
        user if isinstance(user, str) else None,
        None if expires_at is None else float(expires_at),
    )


def _claims_of(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MAX_CHARS:
        raise BadTokenTextError("what was given is not a JWT: three parts with dots between")
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = orjson.loads(body)
    except (binascii.Error, ValueError):
        raise BadTokenTextError("what was given is not a JWT: its claims cannot be read") from None
    if not isinstance(claims, dict):
        raise BadTokenTextError("what was given is not a JWT: its claims are no JSON object")
    return claims
