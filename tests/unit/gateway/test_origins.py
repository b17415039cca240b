"""Which pages may use the public port."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.origins import ANY, NULL, SAME_ORIGIN, Origins, normalised

APP = "https://app.example.org"


@pytest.mark.parametrize("allowed", [(), (APP,), (SAME_ORIGIN,), (ANY,)])
def test_who_names_no_origin_is_no_page(allowed: tuple[str, ...]) -> None:
    assert Origins(allowed).allow([], ["push.example.org"])
    assert Origins(allowed).allow([], [])


@pytest.mark.parametrize("origin", [APP, "HTTPS://APP.Example.ORG", "https://app.example.org:443"])
def test_listed_origin_is_allowed_however_it_is_written(origin: str) -> None:
    assert Origins([APP]).allow([origin], ["push.example.org"])
    assert Origins([origin]).allow([APP], ["push.example.org"])


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://example.org",
        "https://x.app.example.org",
        "https://app.example.org.evil.net",
        "https://app.example.orgx",
        "https://app.example.org/",
        "https://user@app.example.org",
        "https://app.example.org#",
        " https://app.example.org",
        "app.example.org",
        "null",
        "same-origin",
        "*",
        "",
        "https://" + "a" * 600,
    ],
)
def test_any_other_is_not(origin: str) -> None:
    assert not Origins([APP]).allow([origin], ["push.example.org"])
    assert not Origins([SAME_ORIGIN, APP]).allow([origin], ["push.example.org"])


def test_two_origins_are_none() -> None:
    assert not Origins([APP]).allow([APP, APP], ["push.example.org"])
    assert not Origins([SAME_ORIGIN]).allow(["http://a"], ["a", "a"])


@pytest.mark.parametrize(
    ("origin", "host", "is_same"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080", "LOCALHOST:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://push.example.org", "push.example.org", True),
        ("https://push.example.org", "push.example.org:443", True),
        ("http://push.example.org", "push.example.org:80", True),
        ("http://127.0.0.1:8081", "127.0.0.1:8080", False),
        ("http://localhost:8080", "127.0.0.1:8080", False),
        ("https://push.example.org", "push.example.org:80", False),
        ("https://push.example.org", "", False),
        ("https://push.example.org", "push.example.org/x", False),
    ],
)
def test_same_origin_is_the_host_and_port_that_are_asked(
    origin: str, host: str, is_same: bool
) -> None:
    assert Origins([SAME_ORIGIN]).allow([origin], [host]) is is_same
    assert not Origins([APP]).allow([origin], [host])


def test_page_without_an_origin_is_allowed_only_by_name() -> None:
    assert Origins([NULL]).allow(["null"], ["a"])
    assert not Origins([SAME_ORIGIN]).allow(["null"], ["null"])
    assert Origins([ANY]).allow(["null"], ["a"])


@given(st.lists(st.text(max_size=40), min_size=1, max_size=2), st.text(max_size=20))
def test_every_page_may_ask_only_where_that_was_said(origins: list[str], host: str) -> None:
    assert Origins([ANY]).allow(origins, [host])
    assert not Origins([]).allow(origins, [host])


@given(st.text(alphabet="abc.:/-[]@%0189*", max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    try:
        once = normalised(text)
    except ValueError:
        return
    assert normalised(once) == once


@pytest.mark.parametrize(
    "text", ["app.example.org", "https://*.example.org", "https://app.example.org/app", "https://"]
)
def test_what_is_no_origin_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="SCHEME://HOST"):
        Origins([text])


def test_applications_with_a_scheme_of_their_own_have_origins() -> None:
    assert Origins(["capacitor://localhost"]).allow(["capacitor://localhost"], ["a"])
