"""W3C trace context: what is taken for sampled, and what for nothing at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.protocol.trace_context import (
    TraceParent,
    handed_on,
    is_traceparent,
    sampled,
    traceparent,
)

TRACE_ID, SPAN_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
WRITTEN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-%b"


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))
def test_what_is_written_is_read_back(trace_id: int, span_id: int) -> None:
    assert sampled(traceparent(trace_id, span_id).encode()) == TraceParent(trace_id, span_id)


@pytest.mark.parametrize(("flags", "is_sampled"), [(b"01", True), (b"03", True), (b"00", False)])
def test_the_lowest_flag_decides(flags: bytes, is_sampled: bool) -> None:
    expected = TraceParent(TRACE_ID, SPAN_ID) if is_sampled else None
    assert sampled(WRITTEN % flags) == expected
    assert is_traceparent(WRITTEN % flags)
    assert handed_on(WRITTEN % flags) == (WRITTEN % flags).decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"01",
        WRITTEN % b"0g",
        WRITTEN % b"01-more",  # version 00 ends here
        (WRITTEN % b"01").upper(),
        (WRITTEN % b"01").replace(b"00-4b", b"ff-4b"),
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b"\xff" * 55,
        WRITTEN % b"01\n",
    ],
)
def test_what_is_malformed_is_no_trace(value: bytes) -> None:
    assert sampled(value) is None
    assert not is_traceparent(value)
    assert handed_on(value) is None


def test_a_later_version_may_say_more() -> None:
    later = (WRITTEN % b"01").replace(b"00-4b", b"cc-4b") + b"-what-comes"
    assert sampled(later) == TraceParent(TRACE_ID, SPAN_ID)
    assert handed_on(later + b"\xff") == (WRITTEN % b"01").decode()


@given(st.binary(max_size=80))
def test_any_bytes_are_looked_at_without_harm(value: bytes) -> None:
    assert sampled(value) is None or is_traceparent(value)
