"""Structured CloudEvents become events; what is none is refused by attribute."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.streams import Stream
from tidewire.publishing import Event, InvalidEventError, from_structured
from tidewire.publishing.events import Destination, Origin, build_record

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def envelope(**changes: Any) -> dict[str, Any]:
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/planner",
        "type": "flight.departed",
        "subject": "JFK/B6-704",
        "time": "2013-01-01T05:17:00Z",
        "datacontenttype": "application/json",
        "data": {"delay": 2},
    } | changes
    return {name: content for name, content in whole.items() if content is not ...}


def test_every_attribute_finds_its_place() -> None:
    read = from_structured(
        envelope(partitionkey="JFK/1", airline="B6", priority=3, test=True, nothing=None)
    )
    assert read == Event(
        key="JFK/1",
        data={"delay": 2},
        id="e-1",
        source="/planner",
        type="flight.departed",
        time="2013-01-01T05:17:00Z",
        extensions={"subject": "JFK/B6-704", "airline": "B6", "priority": "3", "test": "true"},
    )


def test_the_key_is_the_partition_key_else_the_subject() -> None:
    assert from_structured(envelope(partitionkey="p")).key == "p"
    assert from_structured(envelope()).key == "JFK/B6-704"
    assert from_structured(envelope(subject=...)).key is None


def test_no_data_deletes() -> None:
    assert from_structured(envelope(data=...)).data is None
    assert from_structured(envelope(data=None)).data is None


def test_the_tracing_extension_becomes_the_trace() -> None:
    read = from_structured(envelope(traceparent=TRACEPARENT, tracestate="a=b"))
    assert read.trace == {"traceparent": TRACEPARENT, "tracestate": "a=b"}
    assert {"traceparent", "tracestate"}.isdisjoint(read.extensions)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": ...}, "specversion"),
        ({"id": ...}, "id"),
        ({"id": ""}, "id"),
        ({"source": 5}, "source"),
        ({"type": None}, "type"),
        ({"time": 5}, "time"),
        ({"subject": ["x"]}, "subject"),
        ({"partitionkey": 5}, "partitionkey"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
        ({"datacontenttype": None}, "datacontenttype"),
        ({"data_base64": "aGk="}, "data_base64"),
        ({"Camel": "x"}, "Camel"),
        ({"with_score": "x"}, "with_score"),
        ({"nested": {"a": 1}}, "nested"),
        ({"fraction": 1.5}, "fraction"),
    ],
)
def test_what_is_no_cloudevent_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        from_structured(envelope(**changes))
    assert caught.value.field == field


@pytest.mark.parametrize("whole", [None, [], "x", 5])
def test_what_is_no_object_is_refused(whole: Any) -> None:
    with pytest.raises(InvalidEventError, match="event"):
        from_structured(whole)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"],
)
def test_json_content_types_are_taken(content_type: str) -> None:
    assert from_structured(envelope(datacontenttype=content_type)).data == {"delay": 2}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True),
        st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.integers()),
    )
)
def test_whatever_comes_is_a_record_or_a_named_refusal(attributes: dict[str, Any]) -> None:
    to = Destination.of_stream("s", Stream(topic="t"), 3)
    try:
        record = build_record(
            from_structured(envelope() | attributes), to, Origin("s", "i", "2013-01-01T00:00:00Z")
        )
    except InvalidEventError as refusal:
        assert refusal.field  # noqa: PT017 - either outcome is right, a nameless refusal is not
    else:
        assert record.key
