"""Spans on their way out: a bounded queue and an exporter that is never waited for, and whose failures are counted."""

import logging
import os
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from .._version import __version__
from ..config.errors import ConfigError
from .logging import get_logger
from .tracing import SpanOutcome

__all__ = ["make_exporter", "make_provider"]

_QUEUE: Final = 2048
_LIBRARY: Final = "opentelemetry.exporter"

_log = get_logger(__name__)


def make_exporter(kind: str, protocol: str) -> SpanExporter:
    """``kind`` is otlp or console, ``protocol`` OTLP's: grpc or http/protobuf. Raises `ConfigError`."""
    if kind == "console":
        return ConsoleSpanExporter()
    if kind != "otlp":
        raise ConfigError(f"OTEL_TRACES_EXPORTER={kind}: is not known; otlp, console and none are")
    try:
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
                OTLPSpanExporter as OverGrpc,
            )

            return OverGrpc()
        if protocol == "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
                OTLPSpanExporter as OverHttp,
            )

            return OverHttp()
    except ValueError as error:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_…: {error}") from error
    raise ConfigError(
        f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: is not known; grpc and http/protobuf are"
    )


def make_provider(
    service: str,
    instance: str,
    exporters: Sequence[SpanExporter],
    *,
    ratio: float | None,
    on_spans: SpanOutcome,
) -> TracerProvider:
    """``ratio`` of the traces that begin here are sampled; None: as OTEL_TRACES_SAMPLER says."""
    # They tell of each attempt in words of their own; `_CountedExporter` tells of each batch once.
    logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL)
    about = {
        "service.name": service,
        "service.version": __version__,
        "service.instance.id": instance,
    }
    provider = TracerProvider(
        sampler=None if ratio is None else ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create(about),
        shutdown_on_exit=False,
    )
    for exporter in exporters:
        provider.add_span_processor(_Queue(exporter, on_spans))
    return provider


class _CountedExporter(SpanExporter):
    """``done`` counts the spans that left the queue, whatever became of them."""

    def __init__(self, exporter: SpanExporter, on_spans: SpanOutcome) -> None:
        self._exporter = exporter
        self._on_spans = on_spans
        self.done = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result, why = SpanExportResult.FAILURE, "see that a collector answers there"
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - a library's; traces are never the reason for anything
            why = str(error) or type(error).__name__
        if result is not SpanExportResult.SUCCESS:
            _log.warning("spans not exported", spans=len(spans), why=why)
        self.done += len(spans)
        self._on_spans("exported" if result is SpanExportResult.SUCCESS else "failed", len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Queue(SpanProcessor):
    """The SDK's queue in front of one exporter; what it has no room for is counted, and not put in."""

    def __init__(self, exporter: SpanExporter, on_spans: SpanOutcome) -> None:
        self._exporter = _CountedExporter(exporter, on_spans)
        self._batches = BatchSpanProcessor(self._exporter)
        self._on_spans = on_spans
        self._room = int(os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE) or _QUEUE)
        self._taken = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        return

    def on_end(self, span: ReadableSpan) -> None:
        if self._taken - self._exporter.done >= self._room:
            self._on_spans("dropped", 1)
            return
        self._taken += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)
