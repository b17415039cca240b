"""A key set over HTTP: one answer of bounded size, from nowhere but the URL that was given."""

import ssl
from pathlib import Path
from typing import Final

import httpx

from ..config.errors import ConfigError
from ..errors import TidewireError
from .jwks_document import MAX_DOCUMENT_BYTES

__all__ = ["JwksUnavailableError", "JwksUrl"]

_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json"} | {
    "Accept-Encoding": "identity"  # so that what comes is as large as it looks
}
_OK: Final = 200
_LONGEST: Final = 60.0
"""Seconds that a socket may be silent: whoever fetches has a deadline for the whole that is no later."""


class JwksUnavailableError(TidewireError):
    """No keys came; ``outcome`` is the label that it counts under."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class JwksUrl:
    """Where a key set is; redirects are not followed, and no proxy of the environment is asked.

    ``ca_file``: the only authorities to trust; None: the public ones. Raises ``ConfigError`` where it cannot be used.
    """

    def __init__(self, url: str, *, ca_file: Path | None = None) -> None:
        self._url = _parsed(url)
        self._client = httpx.AsyncClient(
            timeout=_LONGEST,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
            trust_env=False,
            follow_redirects=False,
            verify=True if ca_file is None else _trusted(ca_file),
        )

    async def fetch(self) -> bytes:
        """Raises ``JwksUnavailableError``; how long it may take is for the caller to say."""
        try:
            async with self._client.stream("GET", self._url, headers=_HEADERS) as answer:
                return await _body(answer)
        except httpx.HTTPError as error:
            raise JwksUnavailableError("unreachable", str(error) or type(error).__name__) from None

    async def close(self) -> None:
        await self._client.aclose()


async def _body(answer: httpx.Response) -> bytes:
    if answer.status_code != _OK:
        raise JwksUnavailableError("unusable", f"it answered {answer.status_code}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise JwksUnavailableError("unusable", "it answered in an encoding that was not asked for")
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MAX_DOCUMENT_BYTES:
            raise JwksUnavailableError(
                "unusable", f"the key set is larger than {MAX_DOCUMENT_BYTES} bytes"
            )
    return bytes(body)


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{url}: not a URL that can be asked: {error}") from None


def _trusted(path: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # also what OpenSSL finds wrong with it
        raise ConfigError(f"{path}: not certificates to trust: {error.strerror or error}") from None
