import pytest

from harness.leaks import CANARY, Leak, leaks_in

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmVk"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f'{{"event": "hello", "token": "{JWT}"}}', {"a token"}),
        (f"GET /v1/ws?token={JWT} HTTP/1.1", {"a token"}),
        (JWT.rpartition(".")[0] + ".", {"a token"}),
        (f"Authorization: Bearer {JWT}", {"a token", "a bearer header"}),
        ("'authorization': 'Bearer s3cr3t'", {"a bearer header"}),
        ("(b'authorization', b'Bearer s3cr3t')", {"a bearer header"}),
        ('{"Authorization": "bearer s3cr3t"}', {"a bearer header"}),
        (r'"body": "{\"Authorization\": \"Bearer s3cr3t\"}"', {"a bearer header"}),
        ("/v1/ws?authorization=Bearer%20s3cr3t", {"a bearer header"}),
        ("sent Bearer 0123456789abcdef", {"a bearer header"}),
        (f'record skipped value={{"text": "{CANARY}"}}', {"a payload"}),
        (f"b'\\x00\\x01{CANARY}'", {"a payload"}),
    ],
)
def test_what_must_not_be_logged_is_found(line: str, what: set[str]) -> None:
    assert {leak.what for leak in leaks_in("gateway", [line])} == what


@pytest.mark.parametrize(
    "line",
    [
        "",
        '{"event": "listening", "http": "http://127.0.0.1:8080", "level": "info"}',
        "Authorization: Bearer <token>",
        "the request has no Authorization: Bearer",
        "the bearer of this token may not publish",
        "eyJhbGciOiJIUzI1NiJ9",
        "canary",
    ],
)
def test_what_may_be_logged_is_no_leak(line: str) -> None:
    assert leaks_in("gateway", [line]) == []


def test_a_leak_says_who_wrote_it_and_in_which_line() -> None:
    [leak] = leaks_in("tidewire_gateway", ["fine", f"  got {CANARY}\n", "fine"], first=41)
    assert leak == Leak("tidewire_gateway", 42, "a payload", f"got {CANARY}")
    assert str(leak) == f"tidewire_gateway, line 42: a payload: got {CANARY}"
