"""Spans kept in memory, for who traces within the tests' own process."""

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanContext

from tidewire.telemetry.late_spans import PreparedIds, SpanBook

__all__ = ["SpanKeeper", "attributes_of", "header_of", "parent_of"]


class SpanKeeper:
    """``tracer`` makes spans; those that have ended are kept."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON) if sampler is None else sampler,
            id_generator=PreparedIds(),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    def book(self) -> SpanBook:
        """For who makes spans later."""
        return SpanBook(self.provider, self.tracer)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.ended if span.name == name]

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        return tuple(self._exporter.get_finished_spans())


def header_of(span: ReadableSpan) -> str:
    """The `traceparent` of what it sent."""
    assert span.context is not None
    return _written(span.context)


def parent_of(span: ReadableSpan) -> str:
    """The `traceparent` that it goes on with; empty where a trace begins with it."""
    return "" if span.parent is None else _written(span.parent)


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def _written(context: SpanContext) -> str:
    place = f"{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
    return f"00-{place}-{context.trace_flags:02x}"
