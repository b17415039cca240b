import json
from datetime import timedelta

import pytest

from tidewire.publishing import EventLimits, InvalidEventError, UserEvent
from tidewire.publishing.events import Origin
from tidewire.targeting.registry import Place
from tidewire_publisher.core.push import (
    Call,
    Device,
    DeviceOutcome,
    Push,
    answer_of,
    push_of,
    read_call,
    request_of,
)

ORIGIN = Origin("tests", "id-1", "2013-01-01T00:00:00Z")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLACE = Place("gw-1", 3, "e" * 32, "http://10.0.0.1:9090", ("c1", "c2"))
PUSH = Push("ann", "m-1", b'{"n": 1.10}', 1_700_000_000_000, None, {})


def push(event: UserEvent) -> Push:
    return push_of(event, ORIGIN, 1_700_000_000_000, EventLimits())


def outcomes(status: int, body: bytes) -> tuple[Call, list[DeviceOutcome]]:
    call, devices = read_call(status, body, PLACE)
    assert [(d.connection, d.node) for d in devices] == [("c1", "gw-1"), ("c2", "gw-1")]
    return call, [device.outcome for device in devices]


def test_a_push_is_checked_as_what_is_published() -> None:
    assert push(UserEvent("ann", b"1", timedelta(seconds=5), id="m")) == Push(
        "ann", "m", b"1", 1_700_000_000_000, 5.0, {}
    )
    assert push(UserEvent("ann", b"1")).id == "id-1"
    assert push(UserEvent("ann", b"1", trace={"traceparent": TRACE})).trace == {
        "traceparent": TRACE
    }
    for event, field in [
        (UserEvent("a\n", b"1"), "user"),
        (UserEvent("ann", None), "data"),
        (UserEvent("ann", b"{"), "data"),
        (UserEvent("ann", b"1", id="x" * 256), "id"),
    ]:
        with pytest.raises(InvalidEventError) as failure:
            push(event)
        assert failure.value.field == field


def test_now_or_never_is_what_every_push_is() -> None:
    assert push(UserEvent("ann", b"1", timedelta(0))).ttl is None


def test_a_node_gets_the_callers_bytes_and_the_epoch_it_was_found_under() -> None:
    body = request_of(PUSH, PLACE)
    assert b'"data":{"n": 1.10}' in body
    assert json.loads(body) == {
        "user": "ann",
        "id": "m-1",
        "data": {"n": 1.1},
        "epoch": "e" * 32,
        "connections": ["c1", "c2"],
        "ts_ms": 1_700_000_000_000,
    }


@pytest.mark.parametrize("outcome", list(DeviceOutcome))
def test_every_outcome_of_a_device_is_handed_on(outcome: DeviceOutcome) -> None:
    body = json.dumps({"outcomes": {"c1": outcome, "c2": "delivered"}}).encode()
    assert outcomes(200, body) == (Call.ANSWERED, [outcome, DeviceOutcome.DELIVERED])


def test_a_connection_that_the_node_does_not_tell_of_is_not_there() -> None:
    body = b'{"outcomes": {"c2": "delivered", "c9": "delivered"}, "more": 1}'
    assert outcomes(200, body) == (
        Call.ANSWERED,
        [DeviceOutcome.OFFLINE, DeviceOutcome.DELIVERED],
    )


@pytest.mark.parametrize(
    ("status", "body", "call", "outcome"),
    [
        (409, b"", Call.STALE, DeviceOutcome.STALE),
        (429, b"", Call.LIMITED, DeviceOutcome.LIMITED),
        (503, b"{}", Call.LIMITED, DeviceOutcome.LIMITED),
        (404, b"", Call.REFUSED, DeviceOutcome.STALE),
        (500, b"", Call.REFUSED, DeviceOutcome.STALE),
        (302, b"", Call.REFUSED, DeviceOutcome.STALE),
        (200, b"", Call.REFUSED, DeviceOutcome.STALE),
        (200, b"[]", Call.REFUSED, DeviceOutcome.STALE),
        (200, b'{"outcomes": {"c1": "fine"}}', Call.REFUSED, DeviceOutcome.STALE),
        (200, b"\xff", Call.REFUSED, DeviceOutcome.STALE),
    ],
)
def test_any_other_answer_is_one_outcome_for_all(
    status: int, body: bytes, call: Call, outcome: DeviceOutcome
) -> None:
    assert outcomes(status, body) == (call, [outcome, outcome])


def test_a_user_who_is_nowhere_is_offline_as_a_whole() -> None:
    assert answer_of(PUSH, []) == {"id": "m-1", "devices": [], "outcome": "offline"}
    assert answer_of(PUSH, [Device("c1", "gw-1", DeviceOutcome.STALE)]) == {
        "id": "m-1",
        "devices": [{"connection": "c1", "node": "gw-1", "outcome": "stale"}],
    }
