"""A token is checked with the algorithm that the key is for, never with the one that the token asks for."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from harness.issuer import ISSUER, IssuerKey, claims, make_key
from tidewire.identity.claims import TokenPolicy
from tidewire.identity.errors import IdentityError, InvalidTokenError, Refusal
from tidewire.identity.key_ring import Algorithm, KeyRing, VerificationKey, shared_key
from tidewire.identity.public_keys import public_key
from tidewire.identity.tokens import TokenVerifier

SECRET = bytes(range(32))
POLICY = TokenPolicy(ISSUER)
KEYS = {
    algorithm: make_key(algorithm, algorithm.lower()) for algorithm in ("RS256", "ES256", "EdDSA")
}


def known(key: IssuerKey, name: str | None = None) -> VerificationKey:
    return public_key(key.private.public_key(), name or key.name)


def verifier(
    *keys: VerificationKey, algorithms: frozenset[Algorithm] | None = None
) -> TokenVerifier:
    accepted = frozenset(Algorithm) if algorithms is None else algorithms
    return TokenVerifier(KeyRing(keys), POLICY, algorithms=accepted)


EVERY = verifier(shared_key(SECRET), *map(known, KEYS.values()))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def hmac_token(secret: bytes, header: dict[str, Any]) -> str:
    """HS256 by hand: the library refuses to sign with a PEM file."""
    signed = f"{part(header)}.{part(claims())}"
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize("algorithm", KEYS)
def test_token_of_every_algorithm_is_accepted(algorithm: str) -> None:
    assert EVERY.verify(KEYS[algorithm].token()).user == "ann"


@pytest.mark.parametrize("algorithm", KEYS)
def test_token_of_another_key_is_refused(algorithm: str) -> None:
    stranger = make_key(algorithm, algorithm.lower())
    with pytest.raises(InvalidTokenError, match="another key") as refused:
        EVERY.verify(stranger.token())
    assert refused.value.refusal is Refusal.SIGNATURE


@pytest.mark.parametrize("accepted", [frozenset(Algorithm), frozenset({Algorithm.RS256})])
@pytest.mark.parametrize("kid", ["rs256", None])
def test_public_key_is_no_secret_that_a_token_can_be_signed_with(
    accepted: frozenset[Algorithm], kid: str | None
) -> None:
    header = {"alg": "HS256", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    pem = KEYS["RS256"].pem
    for secret in (pem, pem.strip(), pem.replace(b"\n", b"")):
        with pytest.raises(InvalidTokenError):
            verifier(known(KEYS["RS256"]), algorithms=accepted).verify(hmac_token(secret, header))
        with pytest.raises(InvalidTokenError):
            EVERY.verify(hmac_token(secret, header))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 5, ["HS256"], {}])
def test_unsigned_token_is_refused(alg: object) -> None:
    for signature in ("", "AAAA"):
        token = f"{part({'alg': alg})}.{part(claims())}.{signature}"
        with pytest.raises(InvalidTokenError):
            EVERY.verify(token)


@pytest.mark.parametrize("alg", ["HS384", "RS512", "PS256", "ES256K", "hs256", "RS256 "])
def test_algorithm_that_is_not_pinned_is_refused(alg: str) -> None:
    with pytest.raises(InvalidTokenError, match="must be signed with") as refused:
        EVERY.verify(f"{part({'alg': alg})}.{part(claims())}.AAAA")
    assert refused.value.refusal is Refusal.ALGORITHM


def test_algorithm_that_is_switched_off_is_refused_though_there_is_a_key() -> None:
    only = verifier(*map(known, KEYS.values()), algorithms=frozenset({Algorithm.ES256}))
    assert only.verify(KEYS["ES256"].token()).user == "ann"
    with pytest.raises(InvalidTokenError, match="must be signed with ES256"):
        only.verify(KEYS["RS256"].token())


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]},
        {"b64": False},
        {"kid": 5},
        {"kid": "k" * 300},
    ],
)
def test_header_that_asks_for_more_than_a_signature_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        EVERY.verify(hmac_token(SECRET, {"alg": "HS256", **more}))


def test_key_in_the_header_is_not_believed() -> None:
    stranger = make_key("ES256", "es256")
    token = jwt.encode(
        claims(),
        stranger.private,
        algorithm="ES256",
        headers={
            "kid": "es256",
            "jwk": stranger.jwk(),
            "jku": "https://evil.example/jwks",
            "x5u": "https://e",
        },
    )
    with pytest.raises(InvalidTokenError, match="another key"):
        EVERY.verify(token)


def test_old_and_new_key_are_good_side_by_side() -> None:
    old, new = make_key("ES256", "2025"), make_key("ES256", "2026")
    both = verifier(known(old), known(new))
    for key in (old, new):
        assert both.verify(key.token()).user == "ann"
        assert both.verify(key.token(kid=None)).user == "ann"
        assert both.verify(key.token(kid="a name of the issuer's own")).user == "ann"
    with pytest.raises(InvalidTokenError):
        verifier(known(new)).verify(old.token())


def test_name_of_another_key_does_not_help() -> None:
    first, second = make_key("ES256", "1"), make_key("ES256", "2")
    with pytest.raises(InvalidTokenError, match="another key"):
        verifier(known(first), known(second)).verify(first.token(kid="2"))


def test_keys_that_are_no_good_are_refused() -> None:
    with pytest.raises(ValueError, match="P-256"):
        public_key(ec.generate_private_key(ec.SECP384R1()).public_key())
    with pytest.raises(ValueError, match="must be an RSA"):
        public_key("text")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_no_text_is_a_token(header: str, payload: str, signature: str) -> None:
    for token in (header, f"{header}.{payload}.{signature}"):
        with pytest.raises(IdentityError):
            EVERY.verify(token)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "typ"]) | st.text(max_size=5), JSON))
def test_no_header_does_more_than_be_refused(header: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        EVERY.verify(f"{part(header)}.{part(claims())}.AAAA")


def test_header_that_nests_without_end_is_refused() -> None:
    for depth in (200, 900, 1100, 1300, 4000):
        header = (
            base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * depth).decode().rstrip("=")
        )
        whole = (
            base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * depth + b"]" * depth + b"}")
            .decode()
            .rstrip("=")
        )
        for one in (header, whole):
            with pytest.raises(InvalidTokenError):
                EVERY.verify(f"{one}.{part(claims())}.AAAA")
