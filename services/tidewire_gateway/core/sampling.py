"""What is known of an event whose producer had it sampled (pure)."""

import msgspec

from tidewire.kafka.records import Record
from tidewire.protocol.trace_context import TRACEPARENT, TraceParent, sampled

from .decoding import STRUCTURED

__all__ = ["SampledEvent", "sampled_parent"]

_EXTENSION = "ce_traceparent"
"""CloudEvents' distributed-tracing extension, in binary mode."""


class SampledEvent:
    """A sampled event on its way through the node.

    ``parent`` is the span that published it, None for one that is followed though its producer had it not sampled. ``place`` is where
    its way goes on: the span of its reading if ``is_recorded``, else ids that no span has; None where it is not followed after
    all. ``taken_ns`` is when it was read (Unix); ``routed_ms`` when a router sent it to this node (Unix milliseconds), None where
    none did.
    """

    __slots__ = (
        "is_recorded",
        "key",
        "offset",
        "parent",
        "partition",
        "place",
        "routed_ms",
        "taken_ns",
        "ts_ms",
    )

    def __init__(
        self, parent: TraceParent | None, key: str, partition: int, offset: int, ts_ms: int
    ) -> None:
        self.parent = parent
        self.key = key
        self.partition = partition
        self.offset = offset
        self.ts_ms = ts_ms
        self.place: TraceParent | None = None
        self.is_recorded = False
        self.taken_ns = 0
        self.routed_ms: int | None = None


def sampled_parent(record: Record) -> TraceParent | None:
    """Who published a record, if that is sampled: its trace context, or CloudEvents' distributed-tracing extension."""
    found, is_structured = None, False
    for name, content in record.headers:
        if name == TRACEPARENT:
            return sampled(content)
        if name == _EXTENSION:
            found = sampled(content)
        elif name == "content-type":
            is_structured = content.startswith(STRUCTURED)
    if found is None and is_structured and record.value is not None:
        return _parent_in(record.value)
    return found


class _Envelope(msgspec.Struct):
    """The attribute of a CloudEvent in structured mode."""

    traceparent: object = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def _parent_in(body: bytes) -> TraceParent | None:
    try:
        named = _decode_envelope(body).traceparent
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return sampled(named.encode()) if isinstance(named, str) and named.isascii() else None
