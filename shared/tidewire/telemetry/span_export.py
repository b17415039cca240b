"""Spans on their way out: a bounded queue and an exporter that is never waited for, and whose failures are counted."""

import logging
import os
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
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
from .late_spans import PreparedIds
from .logging import get_logger
from .tracing import SpanOutcome

__all__ = ["make_exporter", "make_provider"]

_QUEUE: Final = 2048
_BATCH: Final = 512
_LIBRARY: Final = "opentelemetry.exporter"

_log = get_logger(__name__)


def make_exporter(kind: str, protocol: str) -> SpanExporter:
    """``kind`` is otlp or console, ``protocol`` OTLP's: grpc or http/protobuf. Raises `ConfigError`."""
    if kind == "console":
        return ConsoleSpanExporter()
    if kind != "otlp":
        raise ConfigError(f"OTEL_TRACES_EXPORTER={kind}: is not known; otlp, console and none are")
    if protocol not in {"grpc", "http/protobuf"}:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: is not known; grpc and http/protobuf are"
        )
    try:
        return _over_grpc() if protocol == "grpc" else _over_http()
    except ImportError as error:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: needs {error.name}, which is not installed: install "
            "tidewire[server]"
        ) from error
    except (
        Exception
    ) as error:  # it raises several kinds, bare ones too, for variables it cannot use
        raise ConfigError(f"OTEL_EXPORTER_OTLP_…: {str(error) or type(error).__name__}") from error


def _over_grpc() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _over_http() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def make_provider(
    service: str,
    instance: str,
    exporters: Sequence[SpanExporter],
    *,
    ratio: float | None,
    on_spans: SpanOutcome,
) -> TracerProvider:
    """``ratio`` of the traces that begin here are sampled; None: as OTEL_TRACES_SAMPLER says.

    What `OTEL_RESOURCE_ATTRIBUTES` says of the process goes before ``service`` and ``instance``. Raises `ConfigError` for
    numbers that cannot be used.
    """
    about = {
        "service.name": service,
        "service.version": __version__,
        "service.instance.id": instance,
        **OTELResourceDetector().detect().attributes,
    }
    reasons = _Reasons()
    try:
        provider = TracerProvider(
            sampler=None if ratio is None else ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create(about),
            id_generator=PreparedIds(),
            shutdown_on_exit=False,
        )
        for exporter in exporters:
            provider.add_span_processor(_Queue(exporter, reasons, on_spans))
    except ValueError as error:
        raise ConfigError(f"OTEL_…: {error}") from error
    return provider


class _Reasons(logging.Handler):
    """Hears what the exporters' library would tell of each attempt: `_CountedExporter` tells of each batch once, and why."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""
        library = logging.getLogger(_LIBRARY)
        library.handlers, library.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        self._last = record.getMessage()

    def take(self) -> str:
        last, self._last = self._last, ""
        return last


class _Ledger:
    """How many spans wait: each is settled once, with what became of it, whichever thread comes to say so.

    ``room`` is how many may wait, those that are being exported included; what finds none is dropped. After `close` there is
    no room, and what still waited is dropped.
    """

    def __init__(self, room: int, on_spans: SpanOutcome) -> None:
        self._room = room
        self._on_spans = on_spans
        self._waiting = 0
        self._is_closed = False
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            has_room = self._waiting < self._room and not self._is_closed
            self._waiting += has_room
        if not has_room:
            self._on_spans("dropped", 1)
        return has_room

    def settle(self, outcome: str, count: int) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._waiting -= count
        self._on_spans(outcome, count)

    def close(self) -> None:
        with self._lock:
            left, self._waiting, self._is_closed = self._waiting, 0, True
        if left:
            self._on_spans("dropped", left)


class _CountedExporter(SpanExporter):
    """An exporter whose batches are settled in ``ledger``. Once `is_ending`, the first that fails is the last that is tried."""

    def __init__(self, exporter: SpanExporter, reasons: _Reasons, ledger: _Ledger) -> None:
        self._exporter = exporter
        self._reasons = reasons
        self._ledger = ledger
        self._gave_up = False
        self.is_ending = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result, why = SpanExportResult.FAILURE, ""
        if not self._gave_up:
            try:
                result = self._exporter.export(spans)
            except Exception as error:  # noqa: BLE001 - a library's; traces are never the reason for anything
                why = str(error) or type(error).__name__
        said = self._reasons.take()
        if result is SpanExportResult.SUCCESS:
            self._ledger.settle("exported", len(spans))
            return result
        if not self._gave_up:
            why = why or said or "see that a collector answers there"
            _log.warning("spans not exported", spans=len(spans), why=why)
        self._gave_up = self.is_ending
        self._ledger.settle("failed", len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Queue(SpanProcessor):
    """The SDK's queue in front of one exporter; what it has no room for is counted, and not put in."""

    def __init__(self, exporter: SpanExporter, reasons: _Reasons, on_spans: SpanOutcome) -> None:
        room = _whole_number(OTEL_BSP_MAX_QUEUE_SIZE, _QUEUE)
        self._ledger = _Ledger(room, on_spans)
        self._exporter = _CountedExporter(exporter, reasons, self._ledger)
        self._batches = BatchSpanProcessor(
            self._exporter,
            max_queue_size=room,
            max_export_batch_size=_whole_number(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, min(_BATCH, room)),
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        return

    def on_end(self, span: ReadableSpan) -> None:
        sampled = span.context is not None and span.context.trace_flags.sampled
        if sampled and self._ledger.take():  # of others the SDK's queue takes none
            self._batches.on_end(span)

    def shutdown(self) -> None:
        self._exporter.is_ending = True
        self._batches.shutdown()  # type: ignore[no-untyped-call]
        self._ledger.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name)
    try:
        return int(text) if text else default
    except ValueError as error:
        raise ConfigError(f"{name}={text}: is not a whole number") from error
