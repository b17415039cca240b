import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.rights import Action
from tidewire.identity.tokens import Identity
from tidewire.ingest.errors import InvalidEventsError, NotJsonError, TooManyEventsError
from tidewire.ingest.user_events import parse_push, parse_user_event
from tidewire.publishing import EventLimits, UserEvent
from tidewire.targeting.messages import MAX_DATA_BYTES, MAX_TTL_MS
from tidewire_publisher.core.access import check_may_reach
from tidewire_publisher.core.answers import check_user_events
from tidewire_publisher.core.problems import ProblemError
from tidewire_publisher.core.requests import RequestLimits, user_events_of, user_of

LIMITS = RequestLimits(max_body_bytes=1000, max_event_bytes=20, max_batch_events=3)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(body: bytes, limits: RequestLimits = LIMITS, **headers: str) -> list[UserEvent]:
    return list(user_events_of("ann", headers, body, limits))


def fields_at_fault(body: bytes) -> list[str]:
    with pytest.raises(InvalidEventsError) as failure:
        read(body)
    return [problem.field for problem in failure.value.problems]


def test_an_event_has_the_bytes_that_came_and_what_delivers_it() -> None:
    body = b'{"data": {"b": 1.10} , "ttl_ms": 1500, "collapse_key": "gate", "id": "m-1"}'
    assert read(body, traceparent=TRACE) == [
        UserEvent(
            "ann",
            b'{"b": 1.10}',
            ttl=timedelta(milliseconds=1500),
            collapse_key="gate",
            id="m-1",
            trace={"traceparent": TRACE},
        )
    ]
    assert read(b'{"data": 0, "ttl_ms": 0}')[0].ttl == timedelta(0)


def test_one_event_and_a_batch_are_told_apart_by_their_json() -> None:
    assert [e.data for e in read(b' [{"data":1},{"data":2}]')] == [b"1", b"2"]
    with pytest.raises(TooManyEventsError):
        read(b'[{"data":1},{"data":1},{"data":1},{"data":1}]')
    with pytest.raises(NotJsonError, match="line 2"):
        read(b'{"data":1,\n"ttl_ms":}')


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", ["data"]),
        (b'{"dat": 1}', ["dat", "data"]),
        (b'{"data": 1, "ttl_ms": -1}', ["ttl_ms"]),
        (b'{"data": 1, "ttl_ms": 1.5}', ["ttl_ms"]),
        (b'{"data": 1, "ttl_ms": "60"}', ["ttl_ms"]),
        (b'{"data": 1, "ttl_ms": true}', ["ttl_ms"]),
        (b'{"data": 1, "ttl_ms": %d}' % (MAX_TTL_MS + 1), ["ttl_ms"]),
        (b'{"data": 1, "collapse_key": ""}', ["collapse_key"]),
        (b'{"data": 1, "collapse_key": 5, "id": []}', ["collapse_key", "id"]),
        (b'[{"data": 1}, {"id": ""}, 5]', ["[1].data", "[1].id", "[2]"]),
        (b"5", [""]),
        (b"[]", [""]),
    ],
)
def test_every_field_at_fault_is_named(body: bytes, fields: list[str]) -> None:
    assert fields_at_fault(body) == fields


@given(st.binary(max_size=30))
def test_only_json_gets_through_and_as_it_is(data: bytes) -> None:
    try:
        events = read(b'{"data":' + data + b"}")
        check_user_events(events, EventLimits(), is_batch=False)
    except (InvalidEventsError, NotJsonError, ProblemError):
        return
    [event] = events
    assert isinstance(event.data, bytes)
    assert event.data.strip() in data
    json.loads(event.data)


def test_an_unknown_field_names_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidEventsError, match="did you mean 'ttl_ms'"):
        read(b'{"data": 1, "ttl": 5}')


def test_what_the_record_refuses_is_found_before_any_is_written() -> None:
    events = [
        UserEvent("ann", b"1"),
        UserEvent("ann", None),
        UserEvent("ann", b"1", collapse_key="x" * 256),
        UserEvent("ann", b"1", id="x" * 256),
    ]
    with pytest.raises(InvalidEventsError) as failure:
        check_user_events(events, EventLimits(), is_batch=True)
    assert [p.field for p in failure.value.problems] == ["[1].data", "[2].collapse_key", "[3].id"]


def test_an_event_over_its_size_is_413_and_named() -> None:
    with pytest.raises(ProblemError) as failure:
        read(b'[{"data":1},{"data":"%s"}]' % (b"x" * 20))
    problem = failure.value.problem
    assert (problem.status, problem.errors[0].field) == (413, "[1].data")
    generous = RequestLimits(1 << 20, 1 << 20, 3)
    with pytest.raises(ProblemError, match=f"{MAX_DATA_BYTES} are allowed"):
        read(b'{"data":"%s"}' % (b"x" * MAX_DATA_BYTES), generous)


@pytest.mark.parametrize(
    ("path", "user"),
    [
        (b"/v1/users/ann/events", "ann"),
        (b"/v1/users/a%2Fb/events", "a/b"),
        (b"/v1/users/a/b/events", "a/b"),
        (b"/v1/users/events/events", "events"),
        (b"/v1/users/a%2Fevents/events", "a/events"),
        (b"/v1/users/%25/events", "%"),
        (b"/v1/users/%252F/events", "%2F"),
        (b"/v1/users/%2E%2E/events", ".."),
        (b"/v1/users//v1/users/x/events", "/v1/users/x"),
        (b"/behind/v1/users/ann/%65vents", "ann"),
    ],
)
def test_the_user_is_what_the_path_says_decoded_once(path: bytes, user: str) -> None:
    assert user_of(path) == user


@given(st.text(min_size=1, max_size=60))
def test_every_user_survives_its_way_through_the_path(user: str) -> None:
    try:
        assert user_of(b"/v1/users/" + quote(user, safe="").encode() + b"/events") == user
    except InvalidEventsError as error:
        assert "control characters" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        (b"/v1/users//events", "not empty"),
        (b"/v1/users/a%0Ab/events", "control characters"),
        (b"/v1/users/%FF/events", "percent-encode the UTF-8"),
        (b"/v1/users/%ED%A0%80/events", "percent-encode the UTF-8"),
        (b"/v1/users/" + b"x" * 256 + b"/events", "255 are allowed"),
    ],
)
def test_a_path_that_names_nobody_is_refused(path: bytes, cure: str) -> None:
    with pytest.raises(InvalidEventsError, match=cure) as failure:
        user_of(path)
    assert [problem.field for problem in failure.value.problems] == ["user"]


@pytest.mark.parametrize(
    ("pattern", "user", "is_allowed"),
    [
        ("@user/ann", "ann", True),
        ("@user/*", "ann", True),
        ("@user/*", "two words", True),
        ("@user/*", "a/b", False),
        ("@user/**", "a/b", True),
        ("@user/a/*", "a/b", True),
        ("**", "ann", True),
        ("@user/ann", "bob", False),
        ("ann", "ann", False),
        ("@user", "ann", False),
    ],
)
def test_the_right_to_reach_a_user_goes_by_whole_segments(
    pattern: str, user: str, is_allowed: bool
) -> None:
    caps: Any = {pattern: [Action.PUBLISH]}
    identity = Identity(user="service", caps=caps, expires_at=2e9)
    if is_allowed:
        check_may_reach(identity, user)
        return
    with pytest.raises(ProblemError) as failure:
        check_may_reach(identity, user)
    assert failure.value.problem.status == 403
    assert ("@user/**" if "/" in user else "@user/*") in failure.value.problem.detail


def test_whoever_needs_no_token_may_reach_anybody() -> None:
    check_may_reach(None, "ann")


def test_a_push_names_its_user_and_waits_for_nobody() -> None:
    body: dict[str, Any] = {"user": "ann", "data": {"a": 1}, "ttl_ms": 5, "id": "m"}
    assert parse_push(json.dumps(body).encode()) == UserEvent(
        "ann", b'{"a": 1}', ttl=timedelta(milliseconds=5), id="m"
    )
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"user": ""}, "user"),
        ({"user": 5}, "user"),
        ({"collapse_key": "k"}, "collapse_key"),
    ]
    for wrong, field in wrongs:
        with pytest.raises(InvalidEventsError) as failure:
            parse_push(json.dumps(body | wrong).encode())
        assert [problem.field for problem in failure.value.problems] == [field]
    with pytest.raises(InvalidEventsError, match="user: is missing"):
        parse_push(b'{"data": 1}')


def test_null_is_nothing_to_tell() -> None:
    assert parse_user_event(b'{"data": null}', "ann").data is None
    with pytest.raises(InvalidEventsError, match="nothing to tell"):
        check_user_events(
            [parse_user_event(b'{"data": null}', "ann")], EventLimits(), is_batch=False
        )
