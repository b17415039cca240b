"""Spans for what comes traced; the only module that imports OpenTelemetry, loaded when it is asked for."""

import logging
import re
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TracerProvider,
    set_span_in_context,
)

from ._version import __version__
from .messages import Updates

__all__ = ["SpanReceipt", "Tracing"]

_logger = logging.getLogger("tidewire_client")
_SCOPE: Final = "tidewire_client"
_SAMPLED: Final = re.compile(
    r"(?!ff)(?!00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f][13579bdf](-.*)?"
)
"""W3C trace context, and sampled."""


class Tracing:
    """Whatever OpenTelemetry raises costs spans and is logged once; it never reaches who delivers.

    ``wall_ns`` tells the time in ns since 1970.
    """

    def __init__(self, provider: TracerProvider, wall_ns: Callable[[], int]) -> None:
        self._provider = provider
        self._wall_ns = wall_ns
        self._tracer: Tracer | None = None
        self._has_failed = False

    def begin(self, channel: str, message: Updates, received_ns: int) -> "SpanReceipt | None":
        """The span of a message that arrived at ``received_ns``; None where its sender did not sample it."""
        found = None if message.traceparent is None else _SAMPLED.fullmatch(message.traceparent)
        if found is None:
            return None
        stream = channel.split("/", 1)[0]
        try:
            if self._tracer is None:
                self._tracer = self._provider.get_tracer(_SCOPE, __version__)
            span = self._tracer.start_span(
                f"receive {stream}",
                context=_context_of(int(found[1], 16), int(found[2], 16)),
                kind=SpanKind.CONSUMER,
                attributes={
                    "messaging.system": "tidewire",
                    "messaging.operation.name": "receive",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": channel,
                    "messaging.destination.template": stream,
                    "messaging.batch.message_count": len(message.events),
                },
                start_time=received_ns,
            )
        except Exception as error:  # noqa: BLE001 - a library's; traces are never the reason for anything
            self._failed(error)
            return None
        return SpanReceipt(lambda: self._end(span, received_ns))

    def _end(self, span: Span, received_ns: int) -> None:
        try:
            span.end(max(received_ns, self._wall_ns()))
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not self._has_failed:
            _logger.warning("spans may be missing: OpenTelemetry failed", exc_info=error)
        self._has_failed = True


class SpanReceipt:
    """A span that is open until `end`; ending it again does nothing."""

    __slots__ = ("_end",)

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()


def _context_of(trace_id: int, span_id: int) -> Context:
    """The context of a span that goes on elsewhere, and of nothing else."""
    parent = SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())
