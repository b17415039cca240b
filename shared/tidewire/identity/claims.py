"""From the claims of a token whose signature was good to whom it speaks for (pure)."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from .errors import ExpiredTokenError, InvalidTokenError, Refusal
from .rights import Action, Caps, allows, parse_pattern

__all__ = ["AUDIENCE", "DEV_ISSUER", "Identity", "TokenPolicy", "identity_of"]

AUDIENCE = "tidewire"
DEV_ISSUER = "tidewire-dev"
_REQUIRED = ("sub", "exp", "aud", "iss")
_LAST_SECOND = 253_402_300_800.0
"""The end of the year 9999: no clock shows a later one."""
_KNOWN_CAPS = 1024

Grants = tuple[tuple[str, tuple[str, ...]], ...]
"""The claim ``caps`` as it was signed, without what can be no right."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token speaks for; times are Unix seconds.

    ``token_id`` and ``issued_at`` are the claims ``jti`` and ``iat``, by which it can be revoked; None where it has none.
    """

    user: str
    caps: Caps
    expires_at: float
    token_id: str | None = None
    issued_at: float | None = None

    def may(self, action: Action, channel: str) -> bool:
        return allows(self.caps, channel, action)


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What a token must claim: made by ``issuer``, for one of ``audiences``.

    ``leeway``: seconds of clock difference that are forgiven.
    """

    issuer: str = DEV_ISSUER
    audiences: tuple[str, ...] = (AUDIENCE,)
    leeway: float = 5.0


def identity_of(payload: bytes, policy: TokenPolicy, now: float) -> Identity:
    """Raises ``ExpiredTokenError`` where only time has passed, else ``InvalidTokenError``; ``now`` in Unix seconds."""
    claims = _parse(payload)
    for claim in _REQUIRED:
        if claims.get(claim) is None:
            raise _invalid(f"claim {claim} is missing")
    user = _user(claims["sub"])
    _check_audience(claims["aud"], policy.audiences)
    if claims["iss"] != policy.issuer:
        raise _invalid("claim iss is not the issuer that is trusted here", Refusal.ISSUER)
    expires_at = _instant(claims, "exp")
    assert expires_at is not None
    issued_at, begins_at = _instant(claims, "iat"), _instant(claims, "nbf")
    token_id = claims.get("jti")
    if not isinstance(token_id, str | None):
        raise _invalid("claim jti is not text")
    caps = _caps_of(claims)
    if any(at is not None and at > now + policy.leeway for at in (issued_at, begins_at)):
        raise _invalid("it is not valid yet")
    if expires_at <= now - policy.leeway:
        raise ExpiredTokenError("the token has expired; fetch a fresh one")
    return Identity(user, caps, expires_at, token_id=token_id, issued_at=issued_at)


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        claims = orjson.loads(payload)
    except ValueError:
        raise _invalid("it is not a JWT", Refusal.MALFORMED) from None
    if not isinstance(claims, dict):
        raise _invalid("it is not a JWT", Refusal.MALFORMED)
    return claims


def _user(sub: object) -> str:
    if not isinstance(sub, str):
        raise _invalid("claim sub is not text")
    if not sub:
        raise _invalid("claim sub is empty")
    return sub


def _check_audience(claim: object, audiences: tuple[str, ...]) -> None:
    """One that it is for is enough (RFC 7519, 4.1.3)."""
    given = claim if isinstance(claim, list) else [claim]
    if not any(isinstance(audience, str) and audience in audiences for audience in given):
        names = " or ".join(map(repr, audiences))
        raise _invalid(f"claim aud is not {names}", Refusal.AUDIENCE)


def _instant(claims: Mapping[str, Any], claim: str) -> float | None:
    """Unix seconds, with a fraction perhaps (RFC 7519, 2: NumericDate)."""
    value = claims.get(claim)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _LAST_SECOND or not math.isfinite(value):
        raise _invalid(f"claim {claim} is malformed: it is a time in seconds since 1970")
    return float(value)


def _caps_of(claims: Mapping[str, Any]) -> Caps:
    """Rights that this version does not know are dropped: they grant nothing here."""
    match claims.get("caps", {}):
        case dict() as caps:
            return _granted(tuple((p, _names(actions)) for p, actions in caps.items()))
        case _:
            raise InvalidTokenError(
                'claim caps must be {"<channel pattern>": ["subscribe", …]}', Refusal.CLAIMS
            )


@functools.lru_cache(_KNOWN_CAPS)
def _granted(grants: Grants) -> Caps:
    """Most users have the rights of many others: they share them."""
    return MappingProxyType({_pattern(p): _actions(names) for p, names in grants})


def _pattern(text: str) -> str:
    try:
        return parse_pattern(text)
    except ValueError as e:
        raise InvalidTokenError(f"claim caps: {e}", Refusal.CLAIMS) from None


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise InvalidTokenError("claim caps: each pattern names a list of rights", Refusal.CLAIMS)
    return tuple(name for name in names if isinstance(name, str))


def _actions(names: tuple[str, ...]) -> frozenset[Action]:
    return frozenset(action for action in Action if action.value in names)


def _invalid(reason: str, refusal: Refusal = Refusal.CLAIMS) -> InvalidTokenError:
    return InvalidTokenError(f"the token is not valid: {reason}", refusal)
