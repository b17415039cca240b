"""Public keys, and what is too weak, too strange or too secret to be one."""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .key_ring import Algorithm, VerificationKey

__all__ = ["public_key"]

_MIN_RSA_BITS = 2048  # RFC 7518, 3.3
_MAX_RSA_BITS = 8192
"""Larger ones are no safer, and checking a signature gets slow."""


def public_key(key: object, name: str | None = None) -> VerificationKey:
    """``key`` is one of the library's; raises ``ValueError`` with what is wrong with it."""
    match key:
        case rsa.RSAPublicKey():
            if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
                raise ValueError(
                    f"an RSA key has {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits, this one {key.key_size}"
                )
            algorithm = Algorithm.RS256
        case ec.EllipticCurvePublicKey():
            if not isinstance(key.curve, ec.SECP256R1):
                raise ValueError(f"ES256 needs the curve P-256, this key is on {key.curve.name}")
            algorithm = Algorithm.ES256
        case ed25519.Ed25519PublicKey():
            algorithm = Algorithm.EDDSA
        case _:
            raise ValueError("it must be an RSA, P-256 or Ed25519 key")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(algorithm, key, sha256(spki).digest(), name)
