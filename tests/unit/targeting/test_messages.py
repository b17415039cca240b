import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import Header, NewRecord, Record
from tidewire.targeting.errors import BadMessage, BadMessageError
from tidewire.targeting.messages import (
    COLLAPSE_KEY,
    MAX_DATA_BYTES,
    MAX_TTL_MS,
    TTL,
    Letter,
    Message,
    inbox_record,
    letter_of,
    message_of,
)
from tidewire.targeting.users import check_user

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
USER = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
).map(orjson.dumps)
OFFSET = st.integers(0, 2**63 - 1)
TRACEPARENT = st.just(TRACE) | st.from_regex(
    r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True
)
LETTER = st.builds(
    Letter,
    user=USER,
    id=NAME,
    data=DATA,
    ts_ms=OFFSET,
    expires_at_ms=OFFSET,
    partition=st.integers(0, 2**31 - 1),
    offset=OFFSET,
    prev=st.none() | OFFSET,
    is_kept=st.booleans(),
    collapse_key=st.none() | NAME,
    traceparent=st.none() | TRACEPARENT,
)


def read_back(record: NewRecord) -> Record:
    """As a reader of the topic has it."""
    return Record(
        record.topic, record.partition, 7, 1_000, record.key, record.value, record.headers
    )


@given(LETTER, st.integers(0, 100), st.from_regex("[0-9a-f]{32}", fullmatch=True))
def test_a_letter_comes_out_of_the_inbox_as_it_went_in(
    letter: Letter, slot: int, epoch: str
) -> None:
    record = inbox_record(letter, "inbox", slot, epoch)
    assert (record.topic, record.partition) == ("inbox", slot)
    assert letter_of(read_back(record)) == (epoch, letter)


LETTER_RECORD = read_back(
    inbox_record(
        Letter("ada", "m-1", b"{}", 5, 9, 2, 41, 40, collapse_key="k", traceparent=TRACE),
        "inbox",
        0,
        "ab",
    )
)


def with_header(record: Record, name: str, content: bytes | None) -> Record:
    """``content`` None: without that header."""
    headers: list[Header] = [header for header in record.headers if header[0] != name]
    if content is not None:
        headers.append((name, content))
    return record._replace(headers=headers)


@pytest.mark.parametrize(
    "name",
    [
        "tidewire-epoch",
        "tidewire-offset",
        "tidewire-ts",
        "tidewire-expires",
        "tidewire-kept",
        "ce_id",
    ],
)
def test_an_inbox_record_that_lacks_a_header_is_nobodys(name: str) -> None:
    with pytest.raises(BadMessageError, match=name) as caught:
        letter_of(with_header(LETTER_RECORD, name, None))
    assert caught.value.reason is BadMessage.BAD_HEADERS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tidewire-epoch", b"\xff"),
        ("tidewire-offset", b"3"),
        ("tidewire-offset", b"3:x"),
        ("tidewire-ts", b""),
        ("tidewire-expires", b"soon"),
        ("tidewire-prev", b"none"),
        ("ce_id", b"\xff"),
        (COLLAPSE_KEY, b"\xff"),
    ],
)
def test_an_inbox_record_with_a_malformed_header_is_nobodys(name: str, content: bytes) -> None:
    with pytest.raises(BadMessageError, match="only routers") as caught:
        letter_of(with_header(LETTER_RECORD, name, content))
    assert caught.value.reason is BadMessage.BAD_HEADERS


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"a\nb"])
def test_an_inbox_record_without_a_user_is_nobodys(key: bytes | None) -> None:
    with pytest.raises(BadMessageError) as caught:
        letter_of(LETTER_RECORD._replace(key=key))
    assert caught.value.reason is BadMessage.BAD_HEADERS


def test_an_inbox_record_without_json_would_break_the_frame_it_is_put_into() -> None:
    with pytest.raises(BadMessageError) as caught:
        letter_of(LETTER_RECORD._replace(value=b'"torn'))
    assert caught.value.reason is BadMessage.NOT_JSON


PUBLISHED = Record("targeted", 2, 41, 5_000, b"ada", b'{"a": 1}', [("ce_id", b"m-1")])


def test_a_message_is_where_its_record_stands_and_keeps_its_data_to_the_byte() -> None:
    headers: list[Header] = [
        ("ce_id", b"m-1"),
        (TTL, b"60000"),
        (COLLAPSE_KEY, "größe".encode()),
        ("traceparent", TRACE.encode()),
        ("other", b"\xff"),
    ]
    assert message_of(PUBLISHED._replace(headers=headers)) == Message(
        "ada", "m-1", b'{"a": 1}', 5_000, 60_000, "größe", 2, 41, TRACE
    )


def test_a_message_without_options_is_kept_as_long_as_the_mailbox_keeps_any() -> None:
    message = message_of(PUBLISHED)
    assert message.ttl_ms is None
    assert message.collapse_key is None
    assert message.is_kept
    assert message.expires_at_ms(1_000) == 6_000


@pytest.mark.parametrize(("ttl", "expires"), [(b"300", 5_300), (b"1000", 6_000), (b"5000", 6_000)])
def test_a_message_is_kept_no_longer_than_the_mailbox_keeps_any(ttl: bytes, expires: int) -> None:
    message = message_of(with_header(PUBLISHED, TTL, ttl))
    assert message.expires_at_ms(1_000) == expires


def test_a_message_for_now_or_never_is_not_kept() -> None:
    assert not message_of(with_header(PUBLISHED, TTL, b"0")).is_kept


@pytest.mark.parametrize(
    ("record", "reason", "cure"),
    [
        (PUBLISHED._replace(key=None), BadMessage.NO_USER, "give the user's id"),
        (PUBLISHED._replace(key=b""), BadMessage.NO_USER, "give the user's id"),
        (PUBLISHED._replace(key=b"\xff"), BadMessage.BAD_USER, "UTF-8"),
        (PUBLISHED._replace(key=b"a\x00"), BadMessage.BAD_USER, "leave them out"),
        (PUBLISHED._replace(key=b"a" * 256), BadMessage.BAD_USER, "use a shorter one"),
        (PUBLISHED._replace(value=None), BadMessage.NO_DATA, "give JSON"),
        (PUBLISHED._replace(value=b""), BadMessage.NOT_JSON, "give JSON"),
        (PUBLISHED._replace(value=b"{'a': 1}"), BadMessage.NOT_JSON, "give JSON"),
        (PUBLISHED._replace(value=b'"\xff"'), BadMessage.NOT_JSON, "UTF-8"),
        (
            PUBLISHED._replace(value=b'"%s"' % (b"x" * (MAX_DATA_BYTES - 1))),
            BadMessage.TOO_LARGE,
            "publish a reference",
        ),
        (with_header(PUBLISHED, "ce_id", None), BadMessage.NO_ID, "name the message"),
        (with_header(PUBLISHED, "ce_id", b""), BadMessage.NO_ID, "give 1 to 255 bytes"),
        (with_header(PUBLISHED, "ce_id", b"x" * 256), BadMessage.NO_ID, "give 1 to 255 bytes"),
        (with_header(PUBLISHED, "ce_id", b"\xff"), BadMessage.NO_ID, "UTF-8"),
        (with_header(PUBLISHED, TTL, b""), BadMessage.BAD_TTL, "decimal digits"),
        (with_header(PUBLISHED, TTL, b"-1"), BadMessage.BAD_TTL, "decimal digits"),
        (with_header(PUBLISHED, TTL, b"1.5"), BadMessage.BAD_TTL, "decimal digits"),
        (with_header(PUBLISHED, TTL, "١".encode()), BadMessage.BAD_TTL, "decimal digits"),
        (with_header(PUBLISHED, TTL, b"%d" % (MAX_TTL_MS + 1)), BadMessage.BAD_TTL, "0 to"),
        (with_header(PUBLISHED, TTL, b"1" * 5_000), BadMessage.BAD_TTL, "0 to"),
        (with_header(PUBLISHED, COLLAPSE_KEY, b""), BadMessage.BAD_COLLAPSE_KEY, "give 1 to"),
        (
            with_header(PUBLISHED, COLLAPSE_KEY, "ü".encode() * 128),
            BadMessage.BAD_COLLAPSE_KEY,
            "give 1 to",
        ),
        (with_header(PUBLISHED, COLLAPSE_KEY, b"\xff"), BadMessage.BAD_COLLAPSE_KEY, "UTF-8"),
    ],
)
def test_a_record_that_can_reach_nobody_says_why_and_what_to_do(
    record: Record, reason: BadMessage, cure: str
) -> None:
    with pytest.raises(BadMessageError, match=cure) as caught:
        message_of(record)
    assert caught.value.reason is reason


def test_data_of_the_largest_size_passes() -> None:
    data = b'"%s"' % (b"x" * (MAX_DATA_BYTES - 2))
    assert message_of(PUBLISHED._replace(value=data)).data == data


@pytest.mark.parametrize(
    "trace",
    [
        b"",
        b"\xff",
        b"00-abc",
        TRACE.upper().encode(),
        b"x" * 9_000,
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
    ],
)
def test_a_message_with_a_broken_trace_is_delivered_without_one(trace: bytes) -> None:
    assert message_of(with_header(PUBLISHED, "traceparent", trace)).traceparent is None


def test_what_a_later_version_adds_to_a_trace_goes_no_further() -> None:
    later = b"cc" + TRACE[2:].encode() + b"-\xff more"
    assert message_of(with_header(PUBLISHED, "traceparent", later)).traceparent == TRACE


@given(USER, st.integers(1, 64), st.integers(0, 63))
def test_a_record_in_another_partition_than_its_users_is_refused(
    user: str, partitions: int, partition: int
) -> None:
    record = PUBLISHED._replace(key=user.encode(), partition=partition % partitions)
    if record.partition == partition_of(user.encode(), partitions):
        assert message_of(record, partitions=partitions).user == user
    else:
        with pytest.raises(BadMessageError, match="murmur2") as caught:
            message_of(record, partitions=partitions)
        assert caught.value.reason is BadMessage.WRONG_PARTITION


@given(
    st.binary(max_size=30) | st.none(),
    st.binary(max_size=30) | st.none(),
    st.lists(
        st.tuples(
            st.sampled_from(["ce_id", TTL, COLLAPSE_KEY, "traceparent", "tidewire-offset"]),
            st.binary(max_size=20),
        )
    ),
)
def test_whatever_stands_in_a_topic_is_a_message_or_refused_as_one(
    key: bytes | None, value: bytes | None, headers: list[Header]
) -> None:
    record = PUBLISHED._replace(key=key, value=value, headers=headers)
    for read in (message_of, letter_of):
        with contextlib.suppress(BadMessageError):
            read(record)
            assert key is not None
            assert check_user(key.decode())
