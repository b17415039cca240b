"""Revocations in their topic: written as they are read, and what is none is told from what is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.revocation.errors import BadRevocationError
from tidewire.revocation.records import (
    MAX_NAME_BYTES,
    Kind,
    Revocation,
    Subject,
    revocation_of,
    revocation_record,
    subject_of,
)

USER = Subject(Kind.USER, "ana")
TOKEN = Subject(Kind.TOKEN, "3f2a")
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
seconds = st.floats(min_value=0, max_value=4e9)


@given(
    kind=st.sampled_from(Kind),
    name=names,
    before=seconds,
    until=st.none() | seconds,
    reason=st.none() | names,
)
def test_what_is_written_is_read_as_it_was(
    kind: Kind, name: str, before: float, until: float | None, reason: str | None
) -> None:
    subject, revocation = Subject(kind, name), Revocation(before, until, reason)
    record = revocation_record("revocations", subject, revocation)
    assert record.partition == 0
    assert record.value is not None
    assert subject_of(record.key) == subject
    assert revocation_of(subject, record.value) == revocation


def test_token_may_be_revoked_whenever_it_was_issued() -> None:
    record = revocation_record("revocations", TOKEN, Revocation(until=2000.0))
    assert (record.key, record.value) == (b"token/3f2a", b'{"until":2000.0}')


def test_what_is_lifted_leaves_the_topic() -> None:
    assert revocation_record("revocations", USER, None).value is None


def test_fields_of_later_versions_are_ignored() -> None:
    value = b'{"issued_before": 1000, "until": null, "reason": 7, "by": "ops"}'
    assert revocation_of(USER, value) == Revocation(1000.0)


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"user",
        b"user/",
        b"token/",
        b"group/a",
        b"User/ana",
        b"\xff/a",
        b"user/" + b"a" * (MAX_NAME_BYTES + 1),
    ],
)
def test_key_that_names_nobody_is_none(key: bytes | None) -> None:
    with pytest.raises(BadRevocationError):
        subject_of(key)


def test_user_may_have_slashes() -> None:
    assert subject_of(b"user/tenant/ana").name == "tenant/ana"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"1000",
        b"\xff",
        b"{}",
        b'{"issued_before": null}',
        b'{"issued_before": "1000"}',
        b'{"issued_before": true}',
        b'{"issued_before": NaN}',
        b'{"issued_before": 1e999}',
        b'{"issued_before": 1000, "until": "soon"}',
        b'{"issued_before": 1000, "reason": "' + b"a" * 20_000 + b'"}',
        b"[" * 100_000,
    ],
)
def test_value_that_says_nothing_is_none(value: bytes) -> None:
    with pytest.raises(BadRevocationError):
        revocation_of(USER, value)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for read in (lambda: subject_of(data), lambda: revocation_of(USER, data)):
        try:
            read()
        except BadRevocationError:
            continue


def test_half_a_surrogate_pair_is_no_name() -> None:
    with pytest.raises(BadRevocationError, match="surrogate"):
        Subject(Kind.USER, "\ud800")
