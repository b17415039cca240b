"""What a signed payload may claim, and that nothing in it can do more than be refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.claims import TokenPolicy, identity_of
from tidewire.identity.errors import (
    ExpiredTokenError,
    IdentityError,
    InvalidTokenError,
    Refusal,
)

NOW = 1_700_000_000.0
POLICY = TokenPolicy("issuer", ("tidewire", "other"), 5.0)
GOOD: dict[str, Any] = {"sub": "ann", "aud": "tidewire", "iss": "issuer", "exp": NOW + 60}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
CLAIMS = ("sub", "aud", "iss", "exp", "nbf", "iat", "jti", "caps")


def judged(**changes: Any) -> Any:
    return identity_of(orjson.dumps(GOOD | changes), POLICY, NOW)


@given(st.dictionaries(st.sampled_from(CLAIMS) | st.text(), JSON))
def test_whatever_is_claimed_is_at_worst_refused(changes: dict[str, Any]) -> None:
    try:
        payload = orjson.dumps(GOOD | changes)
    except (TypeError, ValueError):
        return
    try:
        identity = identity_of(payload, POLICY, NOW)
    except IdentityError:
        return
    assert isinstance(identity.user, str)
    assert NOW - POLICY.leeway < identity.expires_at < 1e12


@given(st.binary(max_size=200))
def test_whatever_was_signed_is_at_worst_refused(payload: bytes) -> None:
    with pytest.raises(IdentityError):
        identity_of(payload, POLICY, NOW)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"sub": 7}, Refusal.CLAIMS),
        ({"sub": ["ann"]}, Refusal.CLAIMS),
        ({"sub": ""}, Refusal.CLAIMS),
        ({"exp": "9999999999"}, Refusal.CLAIMS),
        ({"exp": True}, Refusal.CLAIMS),
        ({"exp": 1e300}, Refusal.CLAIMS),
        ({"exp": -1}, Refusal.CLAIMS),
        ({"exp": {}}, Refusal.CLAIMS),
        ({"iat": "now"}, Refusal.CLAIMS),
        ({"iat": NOW + 6}, Refusal.CLAIMS),
        ({"nbf": NOW + 6}, Refusal.CLAIMS),
        ({"jti": 5}, Refusal.CLAIMS),
        ({"aud": "elsewhere"}, Refusal.AUDIENCE),
        ({"aud": ["a", 1, None]}, Refusal.AUDIENCE),
        ({"aud": {"tidewire": 1}}, Refusal.AUDIENCE),
        ({"iss": "issuer2"}, Refusal.ISSUER),
        ({"iss": ["issuer"]}, Refusal.ISSUER),
    ],
)
def test_claim_that_is_not_as_it_must_be_is_refused_by_name(
    changes: dict[str, Any], refusal: Refusal
) -> None:
    with pytest.raises(InvalidTokenError) as refused:
        judged(**changes)
    assert refused.value.refusal is refusal


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 5000,
        b'{"caps":' * 3000,
        b'{"exp":1e999,"sub":"a","aud":"tidewire","iss":"issuer"}',
        b'{"exp":' + b"9" * 5000 + b',"sub":"a","aud":"tidewire","iss":"issuer"}',
        b"null",
        b"\xff",
    ],
)
def test_payload_made_to_do_harm_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidTokenError):
        identity_of(payload, POLICY, NOW)


@pytest.mark.parametrize("audience", ["tidewire", "other", ["x", "other"]])
def test_one_audience_that_is_ours_is_enough(audience: object) -> None:
    assert judged(aud=audience).user == "ann"


def test_expiry_has_a_fraction_and_ends_with_the_leeway() -> None:
    assert judged(exp=NOW - 4.5).expires_at == NOW - 4.5
    with pytest.raises(ExpiredTokenError):
        judged(exp=NOW - 5)


def test_token_that_is_not_for_us_is_invalid_though_it_expired_too() -> None:
    with pytest.raises(InvalidTokenError):
        judged(exp=NOW - 60, aud="elsewhere")


def test_identity_says_by_what_it_can_be_revoked() -> None:
    identity = judged(jti="7", iat=NOW - 3)
    assert (identity.token_id, identity.issued_at) == ("7", NOW - 3)
    assert judged().token_id is None
