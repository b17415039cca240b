"""Key files of internal ports, and the passes that are made with a key."""

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.errors import ConfigError
from tidewire.identity.internal_keys import (
    InternalKeys,
    headers_of,
    load_internal_keys,
    read_internal_keys,
)
from tidewire.identity.internal_passes import LOGIN, SESSION, Pass, issue_pass, read_pass

NEW, OLD, OTHER = (digit * 64 for digit in "abc")
NONCE = "n" * 22


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "internal.key"


def test_first_line_is_sent_and_all_are_accepted(path: Path) -> None:
    path.write_text(f"{NEW}\n\n  {OLD}\n")
    keys = read_internal_keys(path)
    assert keys.sent == NEW
    assert headers_of(keys) == {"Authorization": f"Bearer {NEW}"}
    assert [keys.accepts(key) for key in (NEW, OLD, OTHER)] == [True, True, False]


def test_without_a_file_nothing_is_sent() -> None:
    assert load_internal_keys(None) is None
    assert headers_of(None) == {}


@pytest.mark.parametrize(
    "key",
    [secrets.token_hex(32), secrets.token_urlsafe(32), "Zm9v" * 11 + "==", "A-._~+/z" * 6],
    ids=["hex", "for addresses", "padded", "every character"],
)
def test_what_a_bearer_header_holds_is_a_key(path: Path, key: str) -> None:
    path.write_text(key)
    assert read_internal_keys(path).accepts(key)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no internal key stands in it"),
        ("\n \n", "no internal key stands in it"),
        ("a" * 63, "key 1, in hex, has 63 digits of at least 64"),
        (f"{NEW}\nzz-short", "key 2 has 8 characters of at least 43"),
        ("z" * 42, "key 1 has 42 characters of at least 43"),
        (f"{NEW} {OLD}", "key 1 has characters that no bearer header holds"),
        (f"{'ä' * 64}", "ASCII"),
        (f"{NEW}\n" * 9, "8 keys at most"),
        (f"{NEW}\n" + "z" * 20_000, "8 keys at most"),
    ],
)
def test_file_that_holds_no_good_key_is_told_with_the_cure(
    path: Path, text: str, said: str
) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_internal_keys(path)
    told = str(refused.value)
    assert told.startswith(f"{path}: ")
    assert said in told
    assert "openssl rand" in told or "right file" in told
    assert not any(line.strip() and line.strip() in told for line in text.splitlines())


def test_file_that_cannot_be_read_is_told(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such internal key; make it with: .*openssl rand"):
        read_internal_keys(path)
    with pytest.raises(ConfigError, match="cannot read the internal key: Is a directory"):
        read_internal_keys(path.parent)


@given(shown=st.text())
def test_whatever_else_is_shown_is_no_key(shown: str) -> None:
    assert InternalKeys([NEW, OLD]).accepts(shown) is (shown in {NEW, OLD})


@pytest.mark.parametrize("shown", ["", NEW[:-1], f"{NEW}a", NEW.upper(), f" {NEW}", f"{NEW}\0"])
def test_what_is_nearly_a_key_is_none(shown: str) -> None:
    assert not InternalKeys([NEW]).accepts(shown)


def test_keys_are_not_shown() -> None:
    keys = InternalKeys([NEW, OLD])
    assert NEW not in f"{keys!r} {keys} {issue_pass(keys, LOGIN, 60, NONCE)}"


def test_pass_holds_until_it_is_over_and_for_its_purpose_alone() -> None:
    keys = InternalKeys([NEW])
    shown = issue_pass(keys, LOGIN, 100, NONCE)
    assert read_pass(keys, LOGIN, shown, 99.9) == Pass(100, NONCE)
    assert read_pass(keys, LOGIN, shown, 100) is None
    assert read_pass(keys, SESSION, shown, 0) is None
    assert read_pass(InternalKeys([OTHER]), LOGIN, shown, 0) is None


def test_pass_of_the_old_key_holds_as_long_as_it_is_accepted() -> None:
    shown = issue_pass(InternalKeys([OLD]), SESSION, 100, NONCE)
    assert read_pass(InternalKeys([NEW, OLD]), SESSION, shown, 0) == Pass(100, NONCE)
    assert read_pass(InternalKeys([NEW]), SESSION, shown, 0) is None


@given(expires_at=st.integers(0, 10**11), at=st.integers(0, 200), letter=st.characters())
def test_no_letter_of_a_pass_can_be_another(expires_at: int, at: int, letter: str) -> None:
    keys = InternalKeys([NEW])
    shown = issue_pass(keys, SESSION, expires_at, NONCE)
    at %= len(shown)
    changed = shown[:at] + letter + shown[at + 1 :]
    assert (read_pass(keys, SESSION, changed, -1) is not None) is (changed == shown)


@given(shown=st.text())
def test_what_is_no_pass_is_none(shown: str) -> None:
    assert read_pass(InternalKeys([NEW]), SESSION, shown, 0) is None
