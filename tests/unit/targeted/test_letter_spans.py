"""What traces and flows know of letters and pushes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.records import Record
from tidewire.protocol.trace_context import TraceParent, traceparent
from tidewire.targeting.messages import Letter
from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.targeted.letters import DESTINATION, sampled_letter, sampled_push
from tidewire_gateway.targeted.push import NO_OFFSET, Push
from tidewire_gateway.traces import EventTraces, FlushSize

TRACE = traceparent(0xABC, 0x1)
LETTER = Letter("ann", "m-1", b"1", 1000, 9000, 3, 41, 40, traceparent=TRACE)
RECORD = Record("inbox", 2, 7, 1002, b"ann", b"1", ())


def push(trace: bytes) -> Push:
    return Push("ann", "p-1", b"1", 5, ("c1",), trace)


def test_flows_tell_when_a_router_had_the_letter() -> None:
    told: list[dict[str, Any]] = []
    traces = EventTraces(
        spans=None,
        flows=told.append,
        most_per_second=10,
        node="node-1",
        instruments=Instruments(create_metrics("gateway")),
        wall_ns=lambda: 1_004_000_000,
    )
    event = sampled_letter(LETTER, RECORD)
    assert event is not None
    traces.taken(event, "inbox")
    flush = traces.push([event], DESTINATION, FlushSize(1, 0))
    assert flush is not None
    flush.end(2)
    [flow] = told
    assert (flow["channel"], flow["mode"], flow["interval_ms"]) == ("@me", "every", 0)
    assert flow["sampled"] == [
        {
            "trace": f"{0xABC:032x}",
            "key": "ann",
            "partition": 2,
            "offset": 7,
            "ts_ms": 1000,
            "routed_at_ms": 1002,
            "taken_at_ms": 1004.0,
        }
    ]


def test_a_push_stands_in_no_partition() -> None:
    event = sampled_push(push(TRACE.encode()))
    assert event is not None
    assert event.parent == TraceParent(0xABC, 0x1)
    assert (event.key, event.partition, event.offset) == ("ann", NO_OFFSET, NO_OFFSET)
    assert event.routed_ms is None


@pytest.mark.parametrize("trace", [None, TRACE[:-1] + "0"])
def test_a_letter_that_is_not_sampled_is_none(trace: str | None) -> None:
    assert sampled_letter(LETTER._replace(traceparent=trace), RECORD) is None


@given(st.binary(max_size=80))
def test_whatever_a_call_brings_does_no_harm(trace: bytes) -> None:
    assert sampled_push(push(trace)) is None
