"""Events to a user become records that routers take; what cannot become one is refused by field."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, Record
from tidewire.publishing.errors import InvalidEventError
from tidewire.publishing.events import EventLimits, Origin
from tidewire.publishing.user_events import UserEvent, build_user_record, targeted
from tidewire.targeting.messages import MAX_DATA_BYTES, MAX_TTL_MS, Message, message_of

TO = targeted("tidewire.targeted", 12)
ORIGIN = Origin(source="tests", event_id="id-1", time="2013-01-01T00:00:00Z")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOW = 1_700_000_000_000
MAX_TTL = MAX_TTL_MS / 1000

JSON = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner | st.none(), max_size=4)
        | st.dictionaries(st.text(), inner | st.none(), max_size=4)
    ),
    max_leaves=10,
)
USERS = st.text(min_size=1, max_size=100) | st.from_regex(r"[a-z0-9/@:.*_-]{1,255}", fullmatch=True)
TTLS = (
    st.none()
    | st.integers(0, int(MAX_TTL))
    | st.floats(0, MAX_TTL)
    | st.timedeltas(timedelta(0), timedelta(seconds=MAX_TTL))
)


def build(event: UserEvent, limits: EventLimits | None = None) -> NewRecord:
    return build_user_record(event, TO, ORIGIN, limits)


def read(record: NewRecord) -> Message:
    """As a router reads it."""
    return message_of(
        Record(record.topic, record.partition, 7, NOW, record.key, record.value, record.headers),
        partitions=TO.partitions,
    )


def refused(event: UserEvent, limits: EventLimits | None = None) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        build(event, limits)
    return caught.value


@given(
    user=USERS,
    data=JSON,
    ttl=TTLS,
    collapse_key=st.none() | st.text(min_size=1, max_size=80),
    identity=st.none() | st.text(min_size=1, max_size=80),
)
def test_whatever_is_accepted_reads_back_equal(
    user: str,
    data: Any,
    ttl: float | timedelta | None,
    collapse_key: str | None,
    identity: str | None,
) -> None:
    event = UserEvent(user, data, ttl, collapse_key, identity, {"tenant": "a"})
    try:
        record = build(event)
    except InvalidEventError as error:
        assert error.field in {"user", "id", "collapse_key", "data"}  # noqa: PT017 - or it reads back
        return
    message = read(record)
    assert (message.user, message.id) == (user, identity or "id-1")
    assert orjson.loads(message.data) == data
    assert message.collapse_key == collapse_key
    assert (message.ts_ms, message.partition) == (NOW, partition_of(user.encode(), 12))
    if ttl is None:
        assert message.ttl_ms is None
    else:
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        assert message.ttl_ms is not None
        assert message.ttl_ms == pytest.approx(seconds * 1000, abs=1)
        assert (message.ttl_ms == 0) == (seconds == 0)


@given(st.integers(0, MAX_TTL_MS))
def test_milliseconds_are_kept_exactly(ttl_ms: int) -> None:
    for ttl in (timedelta(milliseconds=ttl_ms), ttl_ms / 1000):
        assert read(build(UserEvent("ann", 1, ttl))).ttl_ms == ttl_ms


def test_the_record_is_a_cloudevent_of_the_whole_users_partition() -> None:
    event = UserEvent(
        "a/b", b'{ "n": 1.0 }', 60, "gate", "m-1", {"tenant": "x"}, {"traceparent": TRACEPARENT}
    )
    assert build(event) == NewRecord(
        topic="tidewire.targeted",
        partition=partition_of(b"a/b", 12),
        key=b"a/b",
        value=b'{ "n": 1.0 }',
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"m-1"),
            ("ce_source", b"tests"),
            ("ce_type", b"tidewire.targeted"),
            ("ce_time", b"2013-01-01T00:00:00Z"),
            ("content-type", b"application/json"),
            ("traceparent", TRACEPARENT.encode()),
            ("tidewire-ttl-ms", b"60000"),
            ("tidewire-collapse-key", b"gate"),
            ("tenant", b"x"),
        ),
    )


def test_without_a_ttl_and_a_collapse_key_there_are_no_headers_for_them() -> None:
    names = {name for name, _ in build(UserEvent("ann", 1)).headers}
    assert not {name for name in names if name.startswith("tidewire-")}


def test_a_ttl_that_is_not_0_never_becomes_0() -> None:
    assert read(build(UserEvent("ann", 1, 1e-9))).ttl_ms == 1
    assert read(build(UserEvent("ann", 1, timedelta(microseconds=1)))).ttl_ms == 1
    assert read(build(UserEvent("ann", 1, 0))).ttl_ms == 0


@pytest.mark.parametrize(
    "user", ["", None, 5, b"ann", "a\nb", "a\x00", "\u2028", "\ud800", "x" * 256]
)
def test_a_user_that_nobody_can_be_is_refused(user: Any) -> None:
    assert refused(UserEvent(user, 1)).field == "user"


@pytest.mark.parametrize(
    ("ttl", "cure"),
    [
        (-1, "0 (now or never) to 31536000 seconds"),
        (-1e-9, "0 (now or never)"),
        (timedelta(seconds=-1), "0 (now or never)"),
        (float("nan"), "0 (now or never)"),
        (float("inf"), "0 (now or never)"),
        (float("-inf"), "0 (now or never)"),
        (MAX_TTL + 1, "31536000 seconds"),
        pytest.param(10**5000, "31536000 seconds", id="huge"),
        (timedelta.max, "31536000 seconds"),
        ("60", "is str: give seconds as a number"),
        (True, "is bool: give seconds as a number"),
        (b"", "is bytes"),
    ],
)
def test_a_ttl_that_is_no_time_is_refused_with_the_cure(ttl: Any, cure: str) -> None:
    error = refused(UserEvent("ann", 1, ttl))
    assert error.field == "ttl"
    assert cure in error.message


@pytest.mark.parametrize("key", ["", "x" * 256, "é" * 128, 5, b"k", "\ud800"])
def test_a_collapse_key_that_is_none_is_refused(key: Any) -> None:
    assert refused(UserEvent("ann", 1, collapse_key=key)).field == "collapse_key"


@pytest.mark.parametrize("identity", ["", "x" * 256, "a\nb", 5, "\ud800"])
def test_an_id_that_is_none_is_refused(identity: Any) -> None:
    assert refused(UserEvent("ann", 1, id=identity)).field == "id"


def test_nothing_to_tell_is_refused() -> None:
    error = refused(UserEvent("ann", None))
    assert (error.field, "nothing to tell the user" in error.message) == ("data", True)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"NaN", object(), {"a": {1}}])
def test_data_that_is_no_json_is_refused(data: Any) -> None:
    assert refused(UserEvent("ann", data)).field == "data"


def test_data_is_bounded_as_mailboxes_bound_it() -> None:
    fits = b'"%s"' % (b"x" * (MAX_DATA_BYTES - 2))
    assert read(build(UserEvent("ann", fits))).data == fits
    for data in (fits[:-1] + b'x"', "x" * 1024 * 1024):
        error = refused(UserEvent("ann", data))
        assert error.field == "data"
        assert f"{MAX_DATA_BYTES} are allowed" in error.message
    assert refused(UserEvent("ann", fits), EventLimits(max_data_bytes=10)).field == "data"


@pytest.mark.parametrize("name", ["ce_id", "tidewire-ttl-ms", "Tidewire-Collapse-Key"])
def test_headers_that_deliver_are_not_the_callers(name: str) -> None:
    assert refused(UserEvent("ann", 1, headers={name: "0"})).field == f"headers.{name}"
