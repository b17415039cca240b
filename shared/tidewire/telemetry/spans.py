"""Spans of those who pass traces on by hand: from ids to OpenTelemetry's contexts, and back."""

import random
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from ..protocol.trace_context import TraceParent

__all__ = ["context_of", "new_id", "place_of", "span_context"]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


def span_context(place: TraceParent) -> SpanContext:
    """Of a sampled span that is somebody else's."""
    return SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=_SAMPLED)


def context_of(parent: TraceParent | None) -> Context:
    """The context of a span that goes on elsewhere, and of nothing else; an empty one where there is none."""
    if parent is None:
        return Context()
    return set_span_in_context(NonRecordingSpan(span_context(parent)), Context())


def new_id(bits: int) -> int:
    """Of a trace (128) or a span (64)."""
    return random.getrandbits(bits) or 1  # 0 is no id


def place_of(span: Span) -> TraceParent:
    context = span.get_span_context()
    return TraceParent(context.trace_id, context.span_id)
