import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.ingest.documents import parse_batch, parse_cloudevent, parse_event
from tidewire.ingest.errors import InvalidEventsError, NotJsonError, TooManyEventsError

CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/airport",
    "type": "flight.departed",
    "partitionkey": "JFK/B6-704",
    "data": {"delay": 3},
}


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def problems_of(text: bytes) -> dict[str, str]:
    with pytest.raises(InvalidEventsError) as failure:
        parse_event(text)
    return {problem.field: problem.message for problem in failure.value.problems}


@pytest.mark.parametrize(
    "data",
    [
        b'{"b": 1.10,  "a":"\\u00e9\\/", "a":2}',
        b"[ ]",
        b"0.1000",
        b'""',
        b"12345678901234567890123",
        b"1e400",
        '{"é":"\\ud83d\\ude00"}'.encode(),
        b"false",
    ],
)
def test_data_stays_the_bytes_that_the_producer_wrote(data: bytes) -> None:
    assert parse_event(b'{"key":"k", "data": ' + data + b' , "headers":{}}').data == data
    envelope = dumps(CLOUDEVENT | {"data": "HERE"}).replace(b'"HERE"', data)
    assert parse_cloudevent(envelope).data == data
    assert parse_batch(b'[{"data":%s,"key":"k"}]' % data, parse_event, max_events=1)[0].data == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(min_size=1), JSON, st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_every_event_is_read_back(key: str, data: Any, headers: dict[str, str]) -> None:
    event = parse_event(dumps({"key": key, "data": data, "headers": headers}))
    assert (event.key, event.headers) == (key, headers)
    assert (json.loads(event.data) if isinstance(event.data, bytes) else event.data) == data


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_with_a_known_error(text: bytes) -> None:
    with contextlib.suppress(NotJsonError, InvalidEventsError):
        assert parse_event(text).key


def test_null_removes_the_entity_and_silence_does_not() -> None:
    assert parse_event(b'{"key":"k","data": null}').data is None
    assert "send it, or null to remove" in problems_of(b'{"key":"k"}')["data"]
    assert parse_cloudevent(dumps(CLOUDEVENT | {"data": None})).data is None
    without = {k: v for k, v in CLOUDEVENT.items() if k != "data"}
    with pytest.raises(InvalidEventsError, match="data: is missing"):
        parse_cloudevent(dumps(without))


def test_every_field_at_fault_is_named() -> None:
    problems = problems_of(b'{"kee":"x","key":7,"headers":{"a":1,"b":"x"}}')
    assert problems == {
        "kee": "unknown field; did you mean 'key'?",
        "key": "must be text",
        "data": "is missing: send it, or null to remove the entity",
        "headers.a": "must be text",
    }


@pytest.mark.parametrize("text", [b'{"data":1}', b'{"key":"","data":1}', b'{"key":null,"data":1}'])
def test_a_missing_key_is_named_with_the_cure(text: bytes) -> None:
    assert problems_of(text) == {"key": "is missing: name the entity that the event is about"}


@pytest.mark.parametrize("text", [b"3", b'"x"', b"[]", b"null"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    assert problems_of(text) == {"": "must be a JSON object"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"", "the text is empty"),
        (b"  \n", "the text is empty"),
        (b'{\n"key": "a",\n"data": nul}', "line 3 column"),
        (b'{"key":"a","data":1', "line 1 column"),
        (b'{"key":"a","data":1} x', "line 1 column 22"),
        (b'{"key":"\xff","data":1}', "UTF-8|utf-8|line 1"),
        (b'{"key":"a","data":' + b"[" * 200_000, "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: bytes, where: str) -> None:
    with pytest.raises(NotJsonError, match=where):
        parse_event(text)


def test_a_batch_keeps_its_order_and_names_every_problem_by_index() -> None:
    text = b'[{"key":"a","data":1},{"key":"b","data":2}]'
    assert [e.key for e in parse_batch(text, parse_event, max_events=2)] == ["a", "b"]
    with pytest.raises(InvalidEventsError) as failure:
        parse_batch(b'[{"key":"a"},{"key":"b","data":2},7]', parse_event, max_events=9)
    assert [p.field for p in failure.value.problems] == ["[0].data", "[2]"]


def test_a_batch_is_bounded_and_never_empty() -> None:
    with pytest.raises(TooManyEventsError, match="2 events in one batch, 1 are allowed"):
        parse_batch(b"[1,2]", parse_event, max_events=1)
    with pytest.raises(InvalidEventsError, match="the batch is empty"):
        parse_batch(b"[]", parse_event, max_events=1)
    with pytest.raises(InvalidEventsError, match="must be a JSON array"):
        parse_batch(b"{}", parse_event, max_events=1)
    with pytest.raises(NotJsonError, match="line 1"):
        parse_batch(b"[1,", parse_event, max_events=1)


def test_a_cloudevent_gives_key_attributes_and_trace() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = parse_cloudevent(dumps(CLOUDEVENT | {"traceparent": trace, "tenant": "x"}))
    assert (event.key, event.id, event.source, event.type) == (
        "JFK/B6-704",
        "1",
        "/airport",
        "flight.departed",
    )
    assert event.trace == {"traceparent": trace}
    assert event.extensions == {"tenant": "x"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": None}, "id"),
        ({"data_base64": "aGk="}, "data_base64"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
    ],
)
def test_a_cloudevent_that_cannot_be_used_names_its_attribute(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidEventsError) as failure:
        parse_cloudevent(dumps(CLOUDEVENT | changes))
    assert [p.field for p in failure.value.problems] == [problem]
