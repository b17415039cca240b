"""W3C trace context, level 1, as it travels in headers and frames: looked at cheaply, parsed only where it is sampled."""

import re
from typing import Final, NamedTuple

__all__ = [
    "TRACEPARENT",
    "TRACESTATE",
    "TraceParent",
    "handed_on",
    "is_traceparent",
    "sampled",
    "traceparent",
]

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_SHAPE: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])(-.*)?"
)
_SIZE: Final = 55
_SAMPLED_DIGITS: Final = frozenset(b"13579bdf")
_FLAGS_END: Final = _SIZE - 1


class TraceParent(NamedTuple):
    """The ids of a span that goes on elsewhere: 128 and 64 bits, neither of them 0."""

    trace_id: int
    span_id: int


def sampled(value: bytes) -> TraceParent | None:
    """Who the sampled parent is; None where it is not sampled, or no `traceparent` at all.

    Of a later version than 00 only what it shares with that one is read, as the standard asks.
    """
    if len(value) < _SIZE or value[_FLAGS_END] not in _SAMPLED_DIGITS:
        return None
    found = _SHAPE.fullmatch(value)
    if found is None or (value.startswith(b"00") and len(value) != _SIZE):
        return None
    return TraceParent(int(found[1], 16), int(found[2], 16))


def is_traceparent(value: bytes) -> bool:
    """Whether it is well formed, sampled or not."""
    return _SHAPE.fullmatch(value) is not None and (
        not value.startswith(b"00") or len(value) == _SIZE
    )


def handed_on(value: bytes) -> str | None:
    """As whoever makes no span of its own passes it on, sampled or not: in version 00; None where it is malformed."""
    return f"00{value[2:_SIZE].decode('ascii')}" if is_traceparent(value) else None


def traceparent(trace_id: int, span_id: int, *, is_sampled: bool = True) -> str:
    """The header of a span."""
    return f"00-{trace_id:032x}-{span_id:016x}-0{is_sampled:d}"
