"""Collectors of traces: some that keep what they are sent over OTLP, and one that takes all and never answers."""

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped] # it has no types of its own
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .ports import LOOPBACK

__all__ = ["GRPC", "HTTP", "Collector", "SentSpan", "collector", "silent_collector"]

HTTP, GRPC = "http/protobuf", "grpc"
_PATH = "/v1/traces"
_POLL_INTERVAL = 0.01
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span as a collector is told of it; ids in hexadecimal digits, ``parent_id`` empty where a trace begins."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]
    links: tuple[str, ...]
    failed: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


@dataclass(slots=True)
class Collector:
    """``url`` is what `OTEL_EXPORTER_OTLP_ENDPOINT` names."""

    url: str
    protocol: str
    spans: list[SentSpan] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What has a process send here everything, soon after it happened."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def named(self, name: str) -> list[SentSpan]:
        return [span for span in self.spans if span.name == name]

    def child_of(self, parent: SentSpan, name: str) -> SentSpan | None:
        """The one span of this name that goes on with ``parent``; None while it has not come."""
        found = [
            span
            for span in self.named(name)
            if (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id)
        ]
        assert len(found) <= 1, found
        return found[0] if found else None

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self.spans += [_sent(service, span) for span in scope.spans]


@contextlib.contextmanager
def collector(protocol: str = HTTP) -> Iterator[Collector]:
    """On a free port until the block ends."""
    with _over_grpc() if protocol == GRPC else _over_http() as found:
        yield found


@contextlib.contextmanager
def silent_collector(protocol: str = HTTP) -> Iterator[Collector]:
    """It is connected to, and never says a word."""
    with socket.create_server((LOOPBACK, 0), backlog=_BACKLOG) as listener:
        yield Collector(f"http://{LOOPBACK}:{listener.getsockname()[1]}", protocol)


@contextlib.contextmanager
def _over_http() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            is_known = self.path == _PATH
            if is_known:
                found.take(ExportTraceServiceRequest.FromString(body))
            content = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        found = Collector(f"http://{LOOPBACK}:{server.server_port}", HTTP)
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_INTERVAL,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _over_grpc() -> Iterator[Collector]:
    class Servicer(TraceServiceServicer):
        def Export(  # noqa: N802 - the name that its protocol has
            self, request: ExportTraceServiceRequest, _context: object
        ) -> ExportTraceServiceResponse:
            found.take(request)
            return ExportTraceServiceResponse()

    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_TraceServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call] # generated
        found = Collector(f"http://{LOOPBACK}:{server.add_insecure_port(f'{LOOPBACK}:0')}", GRPC)
        server.start()
        try:
            yield found
        finally:
            server.stop(None).wait()


def _sent(service: str, span: Span) -> SentSpan:
    attributes = _attributes(span.attributes)
    return SentSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=attributes,
        links=tuple(link.span_id.hex() for link in span.links),
        failed=attributes.get("error.type", ""),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
