"""Verifying bearer tokens: HS256 JWTs, signed with one shared key."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jwt

from .errors import ExpiredTokenError, InvalidTokenError
from .rights import Action, Caps, allows, parse_pattern

__all__ = ["ALGORITHM", "AUDIENCE", "DEV_ISSUER", "Identity", "TokenVerifier"]

AUDIENCE = "tidewire"
DEV_ISSUER = "tidewire-dev"
ALGORITHM = "HS256"  # pinned: what the token's own header says is never trusted
_REQUIRED = ["sub", "exp", "aud", "iss"]
_MAX_TOKEN_CHARS = 16_384
_KNOWN_CAPS = 1024

Grants = tuple[tuple[str, tuple[str, ...]], ...]
"""The claim ``caps`` as it was signed, without what can be no right."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token speaks for; ``expires_at`` is Unix seconds."""

    user: str
    caps: Caps
    expires_at: float

    def may(self, action: Action, channel: str) -> bool:
        return allows(self.caps, channel, action)


class TokenVerifier:
    """Turns a token into an ``Identity``. ``leeway``: seconds of clock difference that are forgiven."""

    def __init__(self, key: bytes, *, issuer: str = DEV_ISSUER, leeway: float = 5.0) -> None:
        self._key = key
        self._issuer = issuer
        self._leeway = leeway

    def verify(self, token: str) -> Identity:
        """Raises ``ExpiredTokenError`` where only time has passed, else ``InvalidTokenError``."""
        if len(token) > _MAX_TOKEN_CHARS:
            raise InvalidTokenError(f"the token is longer than {_MAX_TOKEN_CHARS} characters")
        if not token.isascii():
            raise InvalidTokenError("the token is not valid: it is not a JWT")
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredTokenError("the token has expired; fetch a fresh one") from None
        except jwt.InvalidTokenError as e:
            raise InvalidTokenError(f"the token is not valid: {_reason(e)}") from None
        if not claims["sub"]:
            raise InvalidTokenError("the token is not valid: claim sub is empty")
        return Identity(claims["sub"], _caps_of(claims), float(claims["exp"]))


def _caps_of(claims: Mapping[str, Any]) -> Caps:
    """Rights that this version does not know are dropped: they grant nothing here."""
    match claims.get("caps", {}):
        case dict() as caps:
            return _parse(tuple((p, _names(actions)) for p, actions in caps.items()))
        case _:
            raise InvalidTokenError('claim caps must be {"<channel pattern>": ["subscribe", …]}')


@functools.lru_cache(_KNOWN_CAPS)
def _parse(grants: Grants) -> Caps:
    """Most users have the rights of many others: they share them."""
    return MappingProxyType({_pattern(p): _actions(names) for p, names in grants})


def _pattern(text: str) -> str:
    try:
        return parse_pattern(text)
    except ValueError as e:
        raise InvalidTokenError(f"claim caps: {e}") from None


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise InvalidTokenError("claim caps: each pattern names a list of rights")
    return tuple(name for name in names if isinstance(name, str))


def _actions(names: tuple[str, ...]) -> frozenset[Action]:
    return frozenset(action for action in Action if action.value in names)


def _reason(error: jwt.InvalidTokenError) -> str:
    """Words of our own: the library's may quote the token."""
    match error:
        case jwt.MissingRequiredClaimError():
            return f"claim {error.claim} is missing"
        case jwt.InvalidAudienceError():
            return f"claim aud is not {AUDIENCE!r}"
        case jwt.InvalidIssuerError():
            return "claim iss is not the issuer that is trusted here"
        case jwt.InvalidSignatureError():
            return "it was signed with another key"
        case jwt.InvalidAlgorithmError():
            return f"it must be signed with {ALGORITHM}"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.DecodeError():
            return "it is not a JWT"
        case _:
            return "its claims are malformed"
