"""Events become records by fixed rules; what cannot become one is refused by field."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.streams import Stream
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord
from tidewire.publishing.errors import InvalidEventError
from tidewire.publishing.events import (
    Destination,
    Event,
    EventLimits,
    Origin,
    build_record,
)

FLIGHTS = Destination.of_stream("flights", Stream(topic="flights.v1", group="key-prefix"), 6)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin(source="tests", event_id="id-1", time="2013-01-01T00:00:00Z")

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.text(min_size=1, max_size=100)


def build(event: Event, origin: Origin = ORIGIN, limits: EventLimits | None = None) -> NewRecord:
    return build_record(event, FLIGHTS, origin, limits)


def refused(event: Event, limits: EventLimits | None = None) -> str:
    with pytest.raises(InvalidEventError) as caught:
        build(event, limits=limits)
    assert str(caught.value) == f"{caught.value.field}: {caught.value.message}"
    return caught.value.field


@given(KEYS, JSON.filter(lambda data: data is not None))
def test_an_object_is_encoded_and_its_key_chooses_the_partition(key: str, data: Any) -> None:
    record = build(Event(key, data))
    assert orjson.loads(record.value or b"") == data
    assert record.key == key.encode()
    assert record.topic == "flights.v1"
    assert record.partition == partition_of(key.split("/")[0].encode(), 6)


@given(JSON, st.sampled_from([0, orjson.OPT_INDENT_2]))
def test_ready_json_is_never_encoded_again(data: Any, option: int) -> None:
    ready = orjson.dumps(data, option=option) + b" "
    assert build(Event("k", ready)).value == ready
    assert build(Event("k", memoryview(ready))).value == ready


def test_no_data_deletes_and_json_null_does_not() -> None:
    assert build(Event("k", None)).value is None
    assert build(Event("k", b"null")).value == b"null"


def test_the_headers_are_cloudevents_attributes_then_the_callers() -> None:
    record = build(Event("k", 1, {"airline": "B6", "raw": b"\xff"}))
    assert record.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"id-1"),
        ("ce_source", b"tests"),
        ("ce_type", b"tidewire.flights"),
        ("ce_time", b"2013-01-01T00:00:00Z"),
        ("content-type", b"application/json"),
        ("airline", b"B6"),
        ("raw", b"\xff"),
    )
    assert record.timestamp_ms is None


def test_an_events_own_attributes_win() -> None:
    event = Event(
        "k",
        1,
        id="e",
        source="s",
        type="t",
        time=datetime(2013, 1, 1, 5, tzinfo=timezone(timedelta(hours=-5))),
        timestamp_ms=5,
        extensions={"subject": "x"},
    )
    record = build(event)
    headers = dict(record.headers)
    assert (headers["ce_id"], headers["ce_source"], headers["ce_type"]) == (b"e", b"s", b"t")
    assert headers["ce_time"] == b"2013-01-01T05:00:00-05:00"
    assert headers["ce_subject"] == b"x"
    assert record.timestamp_ms == 5


def test_trace_context_comes_from_the_caller_first() -> None:
    other = TRACEPARENT.replace("0af7", "ffff")
    origin = Origin("s", "i", ORIGIN.time, {"traceparent": TRACEPARENT, "tracestate": "a=b"})
    event = Event("k", 1, trace={"traceparent": other})

    assert dict(build(event, origin).headers)["traceparent"] == TRACEPARENT.encode()
    assert dict(build(event, origin).headers)["tracestate"] == b"a=b"
    assert dict(build(event).headers)["traceparent"] == other.encode()
    assert "traceparent" not in dict(build(Event("k", 1)).headers)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "junk",
        TRACEPARENT.upper(),
        TRACEPARENT.replace("00-", "ff-", 1),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        TRACEPARENT + "\n",
    ],
)
def test_a_malformed_trace_context_is_left_out(traceparent: str) -> None:
    event = Event("k", 1, trace={"traceparent": traceparent, "tracestate": "a=b"})
    assert {"traceparent", "tracestate"}.isdisjoint(dict(build(event).headers))


@pytest.mark.parametrize("key", [None, "", 5, b"k", "\ud800", "x" * 1025])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    assert refused(Event(key, 1)) == "key"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{'a':1}", b"\xff", b"NaN", b"1 2", object(), {1: 2}, {"a": {1}}, 2**70]
)
def test_data_that_is_no_json_is_refused(data: Any) -> None:
    assert refused(Event("k", data)) == "data"


@given(st.binary(max_size=20))
def test_bytes_are_taken_exactly_when_they_are_json(data: bytes) -> None:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        assert refused(Event("k", data)) == "data"
    else:
        assert build(Event("k", data)).value == data


@pytest.mark.parametrize(
    "name",
    [
        *("ce_id", "CE_Type", "traceparent", "Tracestate", "content-type"),
        *("tidewire-ttl-ms", "Tidewire-X", "", "a b", "é", "a:b"),
    ],
)
def test_reserved_and_impossible_header_names_are_refused(name: str) -> None:
    assert refused(Event("k", 1, {name: "x"})) == f"headers.{name}"


def test_impossible_header_values_are_refused() -> None:
    number: Any = 5
    assert refused(Event("k", 1, {"a": number})) == "headers.a"
    assert refused(Event("k", 1, {"a": "\ud800"})) == "headers.a"
    assert refused(Event("k", 1, {f"h{n}": "" for n in range(65)})) == "headers"


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize("text", ["", "a\nb", 5, "\ud800"])
def test_impossible_attributes_are_refused(name: str, text: Any) -> None:
    assert refused(Event("k", 1, **{name: text})) == name


@pytest.mark.parametrize(
    "time",
    ["yesterday", "2013-01-01", "2013-13-01T00:00:00Z", datetime(2013, 1, 1), 5],  # noqa: DTZ001 - naive on purpose
)
def test_a_time_without_a_zone_or_form_is_refused(time: Any) -> None:
    assert refused(Event("k", 1, time=time)) == "time"


@given(st.datetimes(timezones=st.just(UTC)))
def test_aware_times_are_written_as_rfc3339(when: datetime) -> None:
    text = dict(build(Event("k", 1, time=when)).headers)["ce_time"].decode()
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == when
    assert build(Event("k", 1, time=text))


@pytest.mark.parametrize("timestamp", [-1, 1.5, "5", True, 10**15])
def test_an_impossible_timestamp_is_refused(timestamp: Any) -> None:
    assert refused(Event("k", 1, timestamp_ms=timestamp)) == "timestamp_ms"


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_limit_counts_key_data_and_headers(data_size: int, header_size: int) -> None:
    event = Event("k", "x" * data_size, {"a": "y" * header_size})
    record = build(event)
    carried = sum(len(name) + len(content) for name, content in record.headers)
    size = len(record.key or b"") + len(record.value or b"") + carried
    overhead = 4 * len(record.headers) + 32

    assert build(event, limits=EventLimits(max_event_bytes=size + overhead))
    assert refused(event, EventLimits(max_event_bytes=size + overhead - 1)) == "data"


def test_data_may_have_a_limit_of_its_own() -> None:
    limits = EventLimits(max_data_bytes=5)
    assert build(Event("k" * 100, "x" * 3), limits=limits)
    assert refused(Event("k", "x" * 4), limits) == "data"


def test_the_default_limit_leaves_room_below_kafkas() -> None:
    assert EventLimits().max_event_bytes < 1024 * 1024
    assert refused(Event("k", "x" * 1024 * 1024)) == "data"
