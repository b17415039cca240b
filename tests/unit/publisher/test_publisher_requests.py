import json
from http import HTTPStatus
from typing import Any

import pytest

from tidewire.config.streams import Stream
from tidewire.ingest.errors import InvalidEventsError, NotJsonError
from tidewire.kafka.errors import BrokerUnavailableError, BufferFullError, UnknownTopicError
from tidewire.kafka.records import RecordPosition
from tidewire.publishing import Event, EventLimits
from tidewire_publisher.core.admission import Admission
from tidewire_publisher.core.answers import check_events, partly_written, written
from tidewire_publisher.core.problems import ProblemError, problem_of
from tidewire_publisher.core.requests import (
    CLOUDEVENT,
    CLOUDEVENTS,
    JSON,
    RequestLimits,
    events_of,
    media_type_of,
)

LIMITS = RequestLimits(max_body_bytes=1000, max_event_bytes=20, max_batch_events=3)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01"
CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/airport",
    "type": "t",
    "subject": "JFK/1",
    "data": 7,
}


def read(body: bytes, media_type: str = JSON, headers: dict[str, str] | None = None) -> list[Event]:
    return list(events_of(media_type, headers or {}, body, LIMITS))


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("application/json", JSON),
        ("Application/JSON; charset=UTF-8", JSON),
        ('application/cloudevents+json; charset="utf-8"', CLOUDEVENT),
        ("application/cloudevents-batch+json", CLOUDEVENTS),
    ],
)
def test_media_types_that_are_taken(content_type: str, media_type: str) -> None:
    assert media_type_of({"content-type": content_type}) == media_type


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/json; charset=latin-1", "application/avro"]
)
def test_another_media_type_is_415_and_names_those_that_are_taken(content_type: str) -> None:
    with pytest.raises(ProblemError) as failure:
        media_type_of({"content-type": content_type})
    problem = failure.value.problem
    assert problem.status == 415
    assert problem.headers["Accept-Post"] == f"{JSON}, {CLOUDEVENT}, {CLOUDEVENTS}"
    assert JSON in problem.detail


def test_one_event_and_a_batch_are_told_apart_by_their_json() -> None:
    assert [e.key for e in read(b' {"key":"a","data":1}')] == ["a"]
    assert [e.key for e in read(b' [{"key":"a","data":1},{"key":"b","data":2}]')] == ["a", "b"]


def test_cloudevents_come_in_three_modes() -> None:
    structured = read(json.dumps(CLOUD).encode(), CLOUDEVENT)
    batch = read(json.dumps([CLOUD, CLOUD]).encode(), CLOUDEVENTS)
    binary = read(
        b" 7 ",
        JSON,
        {
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "/airport",
            "ce-type": "t",
            "ce-subject": "JFK%2F1",
        },
    )
    assert structured == binary
    assert batch == structured * 2
    assert structured[0].key == "JFK/1"
    assert structured[0].data == b"7"


def test_binary_mode_without_a_body_removes_nothing() -> None:
    with pytest.raises(InvalidEventsError, match="send a body, or null to remove"):
        read(b"", JSON, {"ce-specversion": "1.0"})


def test_the_requests_trace_is_every_events_that_has_none() -> None:
    headers = {"traceparent": TRACE, "tracestate": "a=b"}
    batch = json.dumps([CLOUD, CLOUD | {"traceparent": OTHER_TRACE}]).encode()
    first, second = read(batch, CLOUDEVENTS, headers)
    assert first.trace == headers
    assert second.trace == {"traceparent": OTHER_TRACE}


def test_an_event_over_its_size_is_413_and_named() -> None:
    with pytest.raises(ProblemError) as failure:
        read(b'[{"key":"a","data":1},{"key":"b","data":"%s"}]' % (b"x" * 20))
    problem = failure.value.problem
    assert (problem.status, problem.errors[0].field) == (413, "[1].data")
    assert "is 22 bytes, 20 are allowed" in problem.detail


def test_every_error_has_a_problem_with_type_and_cure() -> None:
    bad = problem_of(NotJsonError("not JSON: line 1"))
    assert (bad.status, bad.body()["type"]) == (400, "urn:tidewire:problem:bad-json")
    away = problem_of(BrokerUnavailableError("away"))
    assert (away.status, away.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "2")
    assert "tidewire topics apply" in problem_of(UnknownTopicError("no topic")).detail


def test_every_event_at_fault_is_found_before_any_is_written() -> None:
    events = [Event("a", b"1"), Event("b", b'"\xff"'), Event("c" * 2000, b"1")]
    with pytest.raises(InvalidEventsError) as failure:
        check_events("s", Stream(topic="t"), events, EventLimits(), is_batch=True)
    assert [p.field for p in failure.value.problems] == ["[1].data", "[2].key"]
    with pytest.raises(InvalidEventsError, match=r"^data: is not JSON"):
        check_events("s", Stream(topic="t"), events[1:2], EventLimits(), is_batch=False)


def test_positions_are_told_in_the_order_of_the_request() -> None:
    assert written([RecordPosition("t", 1, 5), RecordPosition("t", 0, 9)]) == {
        "events": [
            {"topic": "t", "partition": 1, "offset": 5},
            {"topic": "t", "partition": 0, "offset": 9},
        ]
    }


def test_a_batch_written_in_part_tells_which_events_to_repeat() -> None:
    problem, members = partly_written(
        [RecordPosition("t", 1, 5), BrokerUnavailableError("away"), RecordPosition("t", 1, 6)]
    )
    assert problem.status == 503
    assert problem.detail == "2 of 3 events were written, repeat the others: away"
    assert [p.field for p in problem.errors] == ["[1]"]
    assert [e and e["offset"] for e in members["events"]] == [5, None, 6]


def test_one_event_that_failed_is_just_its_problem() -> None:
    problem, members = partly_written([BrokerUnavailableError("away")])
    assert (problem.detail, members) == ("away", {})


def test_what_is_in_work_is_bounded_in_bytes_and_requests() -> None:
    admission = Admission(max_bytes=10, max_requests=2)
    with admission.reserve(6):
        with pytest.raises(BufferFullError), admission.reserve(5):
            pass
        with admission.reserve(4), pytest.raises(BufferFullError), admission.reserve(0):
            pass
    with admission.reserve(10):
        pass
