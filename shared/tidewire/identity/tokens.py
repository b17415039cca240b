"""Verifying bearer tokens: JWTs, signed with a key that is known here, by the algorithm which that key is for."""

import base64
import functools
import time
from collections.abc import Callable

import jwt
import orjson

from .claims import AUDIENCE, DEV_ISSUER, Identity, TokenPolicy, identity_of
from .errors import InvalidTokenError, Refusal
from .key_ring import Algorithm, KeyRing, KeySource, VerificationKey, shared_key

__all__ = [
    "ALGORITHM",
    "AUDIENCE",
    "DEV_ISSUER",
    "Identity",
    "TokenPolicy",
    "TokenVerifier",
]

ALGORITHM = Algorithm.HS256
"""What tokens for development are signed with."""
_MAX_TOKEN_CHARS = 16_384
_MAX_HEADER_CHARS = 2048
_MAX_KEY_NAME = 256
_KNOWN_HEADERS = 256
_DEVELOPMENT = TokenPolicy()
_SIGNATURES = jwt.PyJWS(algorithms=[algorithm.value for algorithm in Algorithm])


class TokenVerifier:
    """Turns a token into an ``Identity``; ``keys`` may be just the bytes of an HS256 key.

    ``algorithms``: those that are accepted, whatever keys there are.
    """

    def __init__(
        self,
        keys: KeySource | bytes,
        policy: TokenPolicy = _DEVELOPMENT,
        *,
        algorithms: frozenset[Algorithm] = frozenset({ALGORITHM}),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = KeyRing([shared_key(keys)]) if isinstance(keys, bytes) else keys
        self._policy = policy
        self._algorithms = algorithms
        self._clock = clock

    def verify(self, token: str) -> Identity:
        """Raises ``IdentityError``: ``KeyNeededError`` where keys must be fetched first (`verifying.verified` waits for them)."""
        if len(token) > _MAX_TOKEN_CHARS:
            raise InvalidTokenError(
                f"the token is longer than {_MAX_TOKEN_CHARS} characters", Refusal.MALFORMED
            )
        if not token.isascii():
            raise _not_a_jwt()
        algorithm, name = _header_of(token.partition(".")[0])
        if algorithm not in self._algorithms:
            names = " or ".join(sorted(self._algorithms))
            raise InvalidTokenError(
                f"the token is not valid: it must be signed with {names}", Refusal.ALGORITHM
            )
        return identity_of(self._payload(token, algorithm, name), self._policy, self._clock())

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        """Have ``forget`` called whenever a key is good no more: what it has signed is not, either."""
        self._keys.on_withdrawn(forget)

    def _payload(self, token: str, algorithm: Algorithm, name: str | None) -> bytes:
        for key in self._keys.held(algorithm, name):
            payload = _signed(token, key)
            if payload is not None:
                return payload
        self._keys.require(name)
        raise InvalidTokenError(
            "the token is not valid: it was signed with another key", Refusal.SIGNATURE
        )


def _signed(token: str, key: VerificationKey) -> bytes | None:
    """What ``key`` has signed by its own algorithm, whatever the token's header says; None where it has not."""
    try:
        payload: bytes = _SIGNATURES.decode(token, key.key, algorithms=[key.algorithm])
    except jwt.InvalidSignatureError:
        return None
    except (jwt.PyJWTError, RecursionError):
        raise _not_a_jwt() from None
    return payload


@functools.lru_cache(_KNOWN_HEADERS)
def _header_of(segment: str) -> tuple[Algorithm | None, str | None]:
    """Algorithm (None: not understood) and name of the key; an issuer's tokens have the same header."""
    try:
        if len(segment) > _MAX_HEADER_CHARS:
            raise _not_a_jwt()
        padding = "=" * (-len(segment) % 4)
        header = orjson.loads(base64.b64decode(segment + padding, altchars=b"-_", validate=True))
        algorithm, name = header["alg"], header.get("kid")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _not_a_jwt() from None
    is_named = isinstance(name, str) and len(name) <= _MAX_KEY_NAME
    if "crit" in header or not (is_named or name is None):
        raise _not_a_jwt()
    return (Algorithm(algorithm) if algorithm in tuple(Algorithm) else None), name


def _not_a_jwt() -> InvalidTokenError:
    return InvalidTokenError("the token is not valid: it is not a JWT", Refusal.MALFORMED)
