"""Tokens for aiokafka's SASL OAUTHBEARER: a client's credentials (RFC 6749, 4.4), given for a token at an endpoint."""

import asyncio
import json
import math
import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from ..tls_files import trusting
from .security import KafkaSecurity

__all__ = ["ClientCredentials", "TokenProvider", "TokenRefusedError", "token_source"]

_TIMEOUT = 5.0
_MOST_BYTES = 64 * 1024
_FRESH = 0.8
"""Share of a token's life after which another is asked for."""


class TokenRefusedError(KafkaError):  # type: ignore[misc] # the client has no types
    """There is no token. One of the client's own errors, since those are what it takes from a provider."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    url: str
    client_id: str
    secret: str = field(repr=False)
    scope: str | None
    context: ssl.SSLContext = field(repr=False)


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc] # the client has no types
    """aiokafka's source of tokens: one is used for 80 % of its life."""

    def __init__(
        self, credentials: ClientCredentials, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._now = now
        self._token = ""
        self._stale_at = float("-inf")
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Raises `TokenRefusedError`."""
        async with self._asking:
            if self._now() >= self._stale_at:
                asked_at = self._now()
                self._token, life = await asyncio.to_thread(_ask, self._credentials)
                self._stale_at = asked_at + life * _FRESH
            return self._token


def token_source(security: KafkaSecurity) -> dict[str, Any]:
    """A keyword argument of aiokafka's clients and connections, where they need tokens."""
    if security.mechanism != "OAUTHBEARER":
        return {}
    assert security.token_url is not None, "OAUTHBEARER has one"
    assert security.username is not None, "SASL has one"
    assert security.password is not None, "SASL has one"
    credentials = ClientCredentials(
        security.token_url,
        security.username,
        security.password.get_secret_value(),
        scope=security.token_scope,
        context=trusting(security.token_ca_file),
    )
    return {"sasl_oauth_token_provider": TokenProvider(credentials)}


class _Staying(HTTPRedirectHandler):
    """Credentials go to the place that was named and no other."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(credentials: ClientCredentials) -> tuple[str, float]:
    """A token and its life in seconds. Blocks for seconds."""
    form = {"grant_type": "client_credentials"}
    if credentials.scope is not None:
        form["scope"] = credentials.scope
    pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.secret, safe='')}"
    headers = {
        "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
        "Accept": "application/json",
    }
    request = Request(credentials.url, urlencode(form).encode(), headers, method="POST")  # noqa: S310 - https, or loopback
    try:
        with _opener(credentials.context).open(request, timeout=_TIMEOUT) as answer:
            told = json.loads(answer.read(_MOST_BYTES))
        life = float(told.get("expires_in", 0))
        if not math.isfinite(life):  # no other token would ever be asked for
            raise ValueError
        return str(told["access_token"]), life
    except HTTPError as error:  # which is an answer, too, with a connection of its own
        error.close()
        raise TokenRefusedError(
            f"no token from {credentials.url}: HTTP status {error.code}"
        ) from None
    except (OSError, HTTPException) as error:
        raise TokenRefusedError(f"no token from {credentials.url}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TokenRefusedError(f"{credentials.url} answers without a token") from None


def _opener(context: ssl.SSLContext) -> OpenerDirector:
    return build_opener(_Staying, HTTPSHandler(context=context), ProxyHandler({}))
