"""Of a published key set only what tokens may be verified with is taken."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.issuer import key_set, make_key
from tidewire.identity.jwks_document import MAX_KEYS, UnusableDocumentError, keys_of
from tidewire.identity.key_ring import Algorithm

RSA, EC, ED = make_key("RS256", "r"), make_key("ES256", "e"), make_key("EdDSA", "d")
SMALL = base64.urlsafe_b64encode((1 << 1023 | 1).to_bytes(128)).decode().rstrip("=")


def document(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_keys_of_every_kind_are_taken_with_their_names() -> None:
    keys = keys_of(key_set([RSA, EC, ED]))
    assert [(key.algorithm, key.name) for key in keys] == [
        ("RS256", "r"),
        ("ES256", "e"),
        ("EdDSA", "d"),
    ]


@pytest.mark.parametrize(
    "bare", [{"alg": None}, {"use": None}, {"use": None, "key_ops": ["verify"]}]
)
def test_key_need_not_say_what_it_is_for(bare: dict[str, Any]) -> None:
    assert len(keys_of(document(RSA.jwk(**bare)))) == 1


@pytest.mark.parametrize(
    "entry",
    [
        RSA.jwk(use="enc"),
        RSA.jwk(alg="RS512"),
        RSA.jwk(alg="PS256"),
        RSA.jwk(alg="HS256"),
        RSA.jwk(key_ops=["sign"]),
        RSA.jwk(key_ops="verify"),
        RSA.jwk(n=SMALL),
        RSA.jwk(n="A" * 5000),
        RSA.jwk(e="A" * 5000),
        RSA.jwk(n=5),
        RSA.jwk(n=None),
        RSA.jwk(e="AQ"),
        RSA.jwk(kid=5),
        RSA.jwk(kid="k" * 300),
        RSA.jwk(d="AQ"),
        EC.jwk(crv="P-384"),
        EC.jwk(crv="secp256k1"),
        EC.jwk(x="AAAA"),
        ED.jwk(crv="X25519"),
        ED.jwk(x="AA"),
        {"kty": "oct", "k": "A" * 43, "kid": "o", "alg": "HS256", "use": "sig"},
        {"kty": "oct", "k": "A" * 43},
        {"kty": ["RSA"]},
        {},
        None,
        "key",
        [],
    ],
)
def test_key_that_is_not_for_us_is_left_out(entry: Any) -> None:
    assert [key.name for key in keys_of(document(entry, EC.jwk()))] == ["e"]
    with pytest.raises(UnusableDocumentError):
        keys_of(document(entry))


def test_algorithms_that_are_not_accepted_are_left_out() -> None:
    assert [k.name for k in keys_of(key_set([RSA, EC]), {Algorithm.ES256})] == ["e"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nothing",
        b"[]",
        b"null",
        b"{}",
        b'{"keys":5}',
        b'{"keys":[]}',
        b"[" * 9000,
        b" " * 300_000,
    ],
)
def test_what_is_no_key_set_is_refused(text: bytes) -> None:
    with pytest.raises(UnusableDocumentError):
        keys_of(text)


def test_more_keys_than_are_looked_at_are_refused() -> None:
    many = [EC.jwk(kid=str(number)) for number in range(MAX_KEYS + 1)]
    assert len(keys_of(document(*many[1:]))) == MAX_KEYS
    with pytest.raises(UnusableDocumentError, match=f"more than {MAX_KEYS}"):
        keys_of(document(*many))


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
MEMBERS = st.sampled_from(["kty", "use", "alg", "key_ops", "kid", "n", "e", "crv", "x", "y", "d"])
VALUES = JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig"])


@given(st.dictionaries(MEMBERS, VALUES), st.sampled_from([RSA, EC, ED]))
def test_whatever_is_published_is_at_worst_left_out(changes: dict[str, Any], key: Any) -> None:
    try:
        keys_of(document({**key.jwk(), **changes}))
    except UnusableDocumentError:
        return
