"""Files of keys to verify tokens with: public keys as PEM, or the shared HS256 key as hex."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ..config.errors import ConfigError
from .key_ring import VerificationKey, shared_key
from .keys import load_key
from .public_keys import public_key

__all__ = ["load_keys"]

_PEM = b"-----BEGIN "
_MAX_BYTES = 64 * 1024


def load_keys(paths: Sequence[Path]) -> list[VerificationKey]:
    """The keys, each named like its file without the ending; raises ``ConfigError`` naming the file and the cure."""
    return [_load(path) for path in paths]


def _load(path: Path) -> VerificationKey:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as e:
        raise ConfigError(f"{path}: cannot read the token key: {e.strerror}") from e
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{path}: too large for a token key; is it the right file?")
    if not text.lstrip().startswith(_PEM):
        return shared_key(load_key(path), path.stem)
    _refuse_others(path, text)
    try:
        return public_key(load_pem_public_key(text), path.stem)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise ConfigError(f"{path}: not a public key that can be used: {e}") from None


def _refuse_others(path: Path, text: bytes) -> None:
    labels = [part.partition(b"-----")[0] for part in text.split(_PEM)[1:]]
    if any(b"PRIVATE" in label for label in labels):
        raise ConfigError(
            f"{path}: is a private key, which does not belong here: who can verify tokens must not be able to make "
            f"them; give its public half: openssl pkey -in {path} -pubout -out public.pem"
        )
    if b"CERTIFICATE" in labels[0]:
        raise ConfigError(
            f"{path}: is a certificate; give its public key: "
            f"openssl x509 -in {path} -pubkey -noout -out public.pem"
        )
    if len(labels) > 1:
        raise ConfigError(
            f"{path}: holds several keys, of which one alone would count: give each a file of its own"
        )
