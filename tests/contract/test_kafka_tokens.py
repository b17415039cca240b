"""aiokafka's tokens come from a real endpoint, and are used for most of their life."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.authority import Authority, make_authority
from harness.leaks import CANARY
from harness.token_endpoint import LIFE, TokenEndpoint, token_endpoint
from tidewire.kafka.oauth import ClientCredentials, TokenProvider, TokenRefusedError

SECRET = f"secret-{CANARY}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[TokenEndpoint]:
    with token_endpoint("tide", SECRET, authority.issue("login")) as endpoint:
        yield endpoint


def credentials(
    endpoint: TokenEndpoint, authorities: Path, secret: str = SECRET
) -> ClientCredentials:
    context = ssl.create_default_context(cafile=authorities)
    return ClientCredentials(endpoint.url, "tide", secret, scope=None, context=context)


async def test_a_token_is_used_until_four_fifths_of_its_life_have_passed(
    endpoint: TokenEndpoint, authority: Authority
) -> None:
    now = 0.0
    provider = TokenProvider(credentials(endpoint, authority.certificate), now=lambda: now)
    tokens = await asyncio.gather(*(provider.token() for _ in range(5)))
    now = LIFE * 0.79
    assert {*tokens, await provider.token()} == {tokens[0]}
    assert endpoint.asked == [{"grant_type": ["client_credentials"]}]
    now = LIFE * 0.81
    await provider.token()
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    "instead",
    [
        (302, {}),
        (200, {}),
        (200, []),
        (200, None),
        (200, {"access_token": "a", "expires_in": "x"}),
        (200, {"access_token": "a", "expires_in": float("nan")}),
        (200, {"access_token": "a", "expires_in": "inf"}),
    ],
)
async def test_what_is_no_token_is_an_error_and_no_redirect_is_followed(
    endpoint: TokenEndpoint, authority: Authority, instead: tuple[int, Any]
) -> None:
    endpoint.instead = instead
    provider = TokenProvider(credentials(endpoint, authority.certificate))
    with pytest.raises(TokenRefusedError, match=endpoint.url):
        await provider.token()
    assert len(endpoint.asked) == 1


async def test_credentials_that_are_wrong_are_an_error_that_does_not_tell_them(
    endpoint: TokenEndpoint, authority: Authority
) -> None:
    wrong = credentials(endpoint, authority.certificate, f"wrong-{CANARY}")
    assert CANARY not in repr(wrong)
    with pytest.raises(TokenRefusedError, match="401") as caught:
        await TokenProvider(wrong).token()
    assert CANARY not in str(caught.value)


async def test_no_secret_goes_to_an_endpoint_that_cannot_be_trusted(
    endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    strange = make_authority(folder).certificate
    with pytest.raises(TokenRefusedError, match="certificate verify failed"):
        await TokenProvider(credentials(endpoint, strange)).token()
    assert endpoint.asked == []
