import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tidewire.config.errors import ConfigError
from tidewire.identity.errors import ExpiredTokenError, InvalidTokenError
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key, load_key
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenPolicy, TokenVerifier

KEY = bytes(range(32))


def signed(key: bytes = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    claims: dict[str, Any] = {
        "sub": "ann",
        "aud": "tidewire",
        "iss": "tidewire-dev",
        "exp": int(time.time()) + 60,
        "caps": {"flights/**": ["subscribe"]},
    } | changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


def test_an_issued_token_gives_back_user_rights_and_expiry() -> None:
    before = time.time()
    token = issue_token(KEY, "ann", {"flights/**": [Action.SUBSCRIBE]}, ttl=60)
    identity = TokenVerifier(KEY).verify(token)
    assert identity.user == "ann"
    assert before + 58 < identity.expires_at <= time.time() + 60
    assert identity.may(Action.SUBSCRIBE, "flights/JFK")
    assert not identity.may(Action.PUBLISH, "flights/JFK")


def test_a_token_that_only_grew_old_is_expired() -> None:
    with pytest.raises(ExpiredTokenError, match="fetch a fresh one"):
        TokenVerifier(KEY).verify(signed(exp=int(time.time()) - 60))


def test_a_clock_difference_within_the_leeway_is_forgiven() -> None:
    token = signed(exp=int(time.time()) - 60)
    assert TokenVerifier(KEY, TokenPolicy(leeway=600)).verify(token).user == "ann"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": None}, "claim sub is missing"),
        ({"sub": ""}, "claim sub is empty"),
        ({"exp": None}, "claim exp is missing"),
        ({"aud": None}, "claim aud is missing"),
        ({"iss": None}, "claim iss is missing"),
        ({"aud": "else"}, "claim aud is not 'tidewire'"),
        ({"iss": "else"}, "claim iss"),
        ({"nbf": int(time.time()) + 3600}, "not valid yet"),
        ({"exp": "soon"}, "malformed|not a JWT"),
        ({"caps": ["flights"]}, "claim caps must be"),
        ({"caps": {"fl*": ["subscribe"]}}, "claim caps: pattern 'fl\\*'"),
        ({"caps": {"flights": "subscribe"}}, "names a list"),
        ({"key": b"x" * 32}, "another key"),
        ({"algorithm": "HS512", "key": KEY * 2}, "must be signed with HS256"),
    ],
)
def test_a_token_made_for_somebody_else_is_invalid(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidTokenError, match=reason):
        TokenVerifier(KEY).verify(signed(**changes))


def test_an_unsigned_token_is_invalid() -> None:
    header, payload, _ = signed().split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    with pytest.raises(InvalidTokenError):
        TokenVerifier(KEY).verify(f"{header}.{payload}.")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "x" * 20_000])
def test_what_is_no_token_is_invalid_and_not_quoted(token: str) -> None:
    with pytest.raises(InvalidTokenError) as failure:
        TokenVerifier(KEY).verify(token)
    assert token not in str(failure.value) or len(token) < 2


def test_rights_of_a_later_version_grant_nothing() -> None:
    identity = TokenVerifier(KEY).verify(signed(caps={"flights": ["presence", "publish"]}))
    assert identity.caps == {"flights": frozenset({Action.PUBLISH})}


def test_a_token_without_caps_has_no_rights() -> None:
    assert TokenVerifier(KEY).verify(signed(caps=None)).caps == {}


@pytest.mark.parametrize("token", ["ä.b.c", "\ud800", "a.b.\udcff"])
def test_a_token_that_is_no_ascii_is_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError, match="not a JWT"):
        TokenVerifier(KEY).verify(token)


def test_users_with_the_same_rights_share_them() -> None:
    verifier = TokenVerifier(KEY)
    assert verifier.verify(signed()).caps is verifier.verify(signed(sub="bob")).caps


def test_a_made_key_is_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "data" / "token.key"
    key = ensure_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_key(path) == load_key(path) == key
    assert os.listdir(path.parent) == ["token.key"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("zz" * 32, "hex digits"), ("ab" * 8, "at least 64"), ("", "at least 64"), ("é", "hex")],
)
def test_a_broken_key_file_is_named_with_the_cure(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "token.key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason) as failure:
        load_key(path)
    assert str(path) in str(failure.value)


def test_a_missing_key_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tidewire dev"):
        load_key(tmp_path / "token.key")


def test_a_key_that_cannot_be_read_or_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the token key: Is a directory"):
        load_key(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=r"cannot write the token key: (Not a directory|File exists)"
    ):
        ensure_key(tmp_path / "file" / "token.key")
