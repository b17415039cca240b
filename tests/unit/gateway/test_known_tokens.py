"""A token that was verified is known for as long as it is good, and nothing else is."""

import time
from collections.abc import Callable

import pytest

from tidewire.identity.errors import ExpiredTokenError, InvalidTokenError
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.identity.tokens import Identity, TokenPolicy, TokenVerifier
from tidewire_gateway.known_tokens import KnownTokens

KEY = b"k" * 32


class CountingVerifier(TokenVerifier):
    def __init__(self) -> None:
        super().__init__(KEY, TokenPolicy(leeway=0.0))
        self.seen: list[str] = []

    def verify(self, token: str) -> Identity:
        self.seen.append(token)
        return super().verify(token)


def token_of(user: str, ttl: float = 60.0) -> str:
    return issue_token(KEY, user, {"**": [Action.SUBSCRIBE]}, ttl=ttl)


def test_token_is_verified_once() -> None:
    verifier = CountingVerifier()
    tokens = KnownTokens(verifier)
    token = token_of("ann")
    assert tokens.verify(token) is tokens.verify(token)
    assert verifier.seen == [token]


def test_each_token_speaks_for_its_own_user() -> None:
    tokens = KnownTokens(TokenVerifier(KEY))
    users = [tokens.verify(token_of(user)).user for user in ("ann", "bob", "ann")]
    assert users == ["ann", "bob", "ann"]


def test_known_token_expires() -> None:
    now = time.time()
    tokens = KnownTokens(CountingVerifier(), clock=lambda: now)
    token = issue_token(KEY, "ann", {}, ttl=-1.0)
    with pytest.raises(ExpiredTokenError):
        tokens.verify(token)
    good = token_of("ann")
    identity = tokens.verify(good)
    now = identity.expires_at
    verifier = CountingVerifier()
    tokens._verifier = verifier
    tokens.verify(good)
    assert verifier.seen == [good], "it is the verifier that judges a token past its time"


def test_bad_token_is_refused_every_time() -> None:
    verifier = CountingVerifier()
    tokens = KnownTokens(verifier)
    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            tokens.verify("no token")
    assert verifier.seen == ["no token", "no token"]


def test_oldest_token_makes_room_for_the_newest() -> None:
    verifier = CountingVerifier()
    tokens = KnownTokens(verifier, most=2)
    first, second, third = (token_of(user) for user in ("ann", "bob", "cid"))
    for token in (first, second, third, second, third, first):
        tokens.verify(token)
    assert verifier.seen == [first, second, third, first]


def test_token_of_no_text_that_can_be_sent_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        KnownTokens(TokenVerifier(KEY)).verify("\ud800")


class RevocableVerifier(CountingVerifier):
    """Tells that a key was withdrawn, when the test says so."""

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        self.withdraw = forget


def test_no_token_is_known_when_a_key_was_withdrawn() -> None:
    verifier = RevocableVerifier()
    tokens = KnownTokens(verifier)
    token = token_of("ann")
    tokens.verify(token)
    verifier.withdraw()
    tokens.verify(token)
    assert verifier.seen == [token, token]
