"""Where a token may stand in an HTTP request, and what is answered otherwise."""

import pytest

from tidewire.http.bearer import (
    bearer_token,
    check_query,
    token_missing,
    token_refused,
    token_undecided,
)
from tidewire.http.problems import ProblemError
from tidewire.identity.errors import ExpiredTokenError, InvalidTokenError, UndecidedError


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer a.b.c", "a.b.c"),
        ("bearer   a.b.c  ", "a.b.c"),
        ("Basic dTpw", None),
        ("Bearer", None),
        ("Bearer  ", None),
        ("", None),
        (None, None),
    ],
)
def test_token_is_taken_from_a_bearer_header_alone(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


@pytest.mark.parametrize("name", ["token", "Access_Token", "jwt", "bearer", "authorization"])
def test_token_in_the_address_is_refused(name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_query(["pretty", name])
    assert (caught.value.problem.kind, caught.value.problem.status) == ("token-in-query", 400)


def test_other_query_parameters_are_none_of_its_business() -> None:
    check_query(["pretty", "since", "tokens"])


def test_challenge_says_whether_a_token_was_wrong_or_missing() -> None:
    missing = token_missing("send one")
    invalid, expired = (token_refused(e("no")) for e in (InvalidTokenError, ExpiredTokenError))
    assert missing.headers == {"WWW-Authenticate": 'Bearer realm="tidewire"'}
    assert invalid.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert [p.kind for p in (missing, invalid, expired)] == [
        "token-missing",
        "token-invalid",
        "token-expired",
    ]
    assert {p.status for p in (missing, invalid, expired)} == {401}


def test_token_that_cannot_be_judged_yet_may_come_again() -> None:
    problem = token_undecided(UndecidedError("not yet", retry_after=2.2))
    assert (problem.status, problem.kind) == (503, "token-undecided")
    assert problem.headers == {"Retry-After": "3"}
