"""A token that somebody hands in to have it revoked: read without its key, and never repeated."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.issuing import issue_token
from tidewire.revocation.errors import BadTokenTextError
from tidewire.revocation.presented import presented_token

KEY = bytes(range(32))


def token(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def test_token_tells_its_id_its_user_and_its_end() -> None:
    found = presented_token(issue_token(KEY, "ana", {}, ttl=60) + "\n")
    assert found.user == "ana"
    assert found.token_id
    assert found.expires_at is not None


def test_token_need_not_say_when_it_ends() -> None:
    assert presented_token(token({"jti": "t1"})) == ("t1", None, None)
    assert presented_token(token({"jti": "t1", "exp": True, "sub": 4})) == ("t1", None, None)


@pytest.mark.parametrize("claims", [{}, {"jti": ""}, {"jti": 7}, {"sub": "ana", "exp": 1}])
def test_token_without_an_id_is_revoked_by_its_user(claims: dict[str, Any]) -> None:
    with pytest.raises(BadTokenTextError, match="--user"):
        presented_token(token(claims))


@pytest.mark.parametrize(
    "text",
    ["", "abc", "a.b", "a.!!!.c", "a.Z.c", token([1]), token("jti"), "a.é.c", "a" * 20_000],
)
def test_what_is_no_token_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(BadTokenTextError, match="not a JWT") as refused:
        presented_token(text)
    assert len(str(refused.value)) < 120


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for presented in (text, f"a.{text}.c"):
        try:
            presented_token(presented)
        except BadTokenTextError:
            continue
