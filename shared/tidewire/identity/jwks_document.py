"""From a JSON Web Key Set (RFC 7517) to the keys of it that tokens may be verified with (pure)."""

from collections.abc import Collection, Mapping
from typing import Any

import jwt
import orjson
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from .key_ring import ASYMMETRIC, Algorithm, VerificationKey
from .public_keys import public_key

__all__ = ["MAX_DOCUMENT_BYTES", "MAX_KEYS", "UnusableDocumentError", "keys_of"]

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_KEYS = 32
_MAX_NAME = 256
_MAX_MODULUS_CHARS = 2048
"""8192 bits take 1366: what is longer is not even made a number of."""
_READERS = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
"""By key type. There is no `oct` among them: a secret that is published is none."""
_PRIVATE = "d"


class UnusableDocumentError(ValueError):
    """Not a key set, or none with a key that can be used."""


def keys_of(
    document: bytes, algorithms: Collection[Algorithm] = ASYMMETRIC
) -> tuple[VerificationKey, ...]:
    """The usable keys; the others (other uses, other algorithms, weak ones, private ones) are left out.

    Raises ``UnusableDocumentError`` where none is left, or where there are more than `MAX_KEYS`.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise UnusableDocumentError(f"the key set is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        entries = orjson.loads(document)["keys"]
    except (ValueError, TypeError, KeyError):
        raise UnusableDocumentError("it is not a JSON Web Key Set") from None
    if not isinstance(entries, list):
        raise UnusableDocumentError("it is not a JSON Web Key Set")
    if len(entries) > MAX_KEYS:
        raise UnusableDocumentError(f"it has more than {MAX_KEYS} keys")
    read = [_read(entry) for entry in entries if isinstance(entry, dict)]
    usable = tuple(key for key in read if key is not None and key.algorithm in algorithms)
    if not usable:
        raise UnusableDocumentError("none of its keys can be used here")
    return usable


def _read(entry: Mapping[str, Any]) -> VerificationKey | None:
    reader = _READERS.get(entry["kty"]) if isinstance(entry.get("kty"), str) else None
    name = entry.get("kid")
    if reader is None or not _is_for_signatures(entry) or not _is_name(name):
        return None
    if _PRIVATE in entry or any(
        isinstance(value, str) and len(value) > _MAX_MODULUS_CHARS
        for value in (entry.get("n"), entry.get("e"))
    ):
        return None
    try:
        key = public_key(reader(dict(entry)), name)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return None
    return key if entry.get("alg", key.algorithm) == key.algorithm else None


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and (
        isinstance(operations, list) and "verify" in operations
    )


def _is_name(name: object) -> bool:
    return name is None or (isinstance(name, str) and len(name) <= _MAX_NAME)
