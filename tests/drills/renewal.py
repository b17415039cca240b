"""Tokens that a client makes afresh, since those it has do not last."""

import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from harness.issuer import IssuerKey

__all__ = ["Renewal", "keep_key"]

_LONG = 3600.0


def keep_key(key: IssuerKey, path: Path) -> None:
    """Write a private key for the processes that make tokens."""
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)


@dataclass(slots=True)
class Renewal:
    """The first ``short`` tokens are good for ``life`` seconds each, later ones for an hour.

    ``key_file`` holds the private key that the issuer calls ``key``.
    """

    user: str
    life: float
    key_file: str
    key: str
    algorithm: str
    short: int
    made: int = 0

    def token(self) -> str:
        private = load_pem_private_key(Path(self.key_file).read_bytes(), None)
        now = time.time()
        self.made += 1
        life = self.life if self.made <= self.short else _LONG
        issuer = IssuerKey(self.algorithm, private, self.key)
        return issuer.token(sub=self.user, iat=now, exp=now + life)
