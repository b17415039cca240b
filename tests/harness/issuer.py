"""An identity provider: keys of every kind, the tokens that they sign, and a server that publishes them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from .ports import LOOPBACK

__all__ = ["ISSUER", "IssuerKey", "JwksServer", "claims", "key_set", "make_key", "running_jwks"]

ISSUER = "https://issuer.example"
_PATH = "/jwks.json"
_MAKERS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65_537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_TO_JWK: dict[str, Any] = {
    "RS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """``name`` is its `kid`."""

    algorithm: str
    private: Any
    name: str | None

    def token(self, *, kid: str | None = "", **changes: Any) -> str:
        """Signed by it; ``kid`` other than its own name, None for none; claims changed, None leaves one out."""
        named = self.name if kid == "" else kid
        headers = {} if named is None else {"kid": named}
        return jwt.encode(
            claims(**changes), self.private, algorithm=self.algorithm, headers=headers
        )

    @property
    def pem(self) -> bytes:
        pem: bytes = self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """As it is published; None leaves a member out."""
        entry = _TO_JWK[self.algorithm](self.private.public_key(), as_dict=True)
        named = {} if self.name is None else {"kid": self.name}
        members = {**entry, **named, "use": "sig", "alg": self.algorithm, **changes}
        return {member: value for member, value in members.items() if value is not None}


def make_key(algorithm: str, name: str | None = None) -> IssuerKey:
    return IssuerKey(algorithm, _MAKERS[algorithm](), name)


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token of ``ISSUER`` for a minute."""
    usual = {
        "sub": "ann",
        "aud": "tidewire",
        "iss": ISSUER,
        "exp": int(time.time()) + 60,
        "caps": {"**": ["subscribe", "publish"]},
    }
    return {claim: value for claim, value in (usual | changes).items() if value is not None}


def key_set(keys: Iterable[IssuerKey]) -> bytes:
    return json.dumps({"keys": [key.jwk() for key in keys]}).encode()


@dataclass
class JwksServer:
    """Answers with ``body``, once ``may_answer`` is set; while it ``is_away`` it hangs up at once."""

    body: bytes
    status: str = "200 OK"
    headers: list[str] = field(default_factory=list)
    is_away: bool = False
    fetches: int = 0
    url: str = ""
    requests: list[str] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    _answering: set["asyncio.Task[None] | None"] = field(default_factory=set)

    def publish(self, *keys: IssuerKey) -> None:
        self.body = key_set(keys)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answering.add(asyncio.current_task())
        self.fetches += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if not self.is_away:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                await self.may_answer.wait()
                lines = [f"HTTP/1.1 {self.status}", f"Content-Length: {len(self.body)}"]
                head = "\r\n".join([*lines, *self.headers, "", ""])
                writer.write(head.encode() + self.body)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def ended(self) -> None:
        """Until everybody has had an answer."""
        await asyncio.gather(*filter(None, self._answering))


@contextlib.asynccontextmanager
async def running_jwks(*keys: IssuerKey) -> AsyncIterator[JwksServer]:
    """On a free port of this machine, until the block is left."""
    jwks = JwksServer(key_set(keys))
    jwks.may_answer.set()
    server = await asyncio.start_server(jwks._answer, LOOPBACK, 0)
    jwks.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}{_PATH}"
    try:
        yield jwks
    finally:
        jwks.may_answer.set()
        server.close()
        await server.wait_closed()
        async with asyncio.timeout(10):
            await jwks.ended()
