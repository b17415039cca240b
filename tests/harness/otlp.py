"""Collectors of traces: some that keep what they are sent over OTLP, and answer as told; one that takes all and never answers."""

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
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

__all__ = [
    "AWAY",
    "GRPC",
    "HTTP",
    "OK",
    "REFUSED",
    "Collector",
    "Recorder",
    "SentSpan",
    "attributes_in",
    "collector",
    "silent_collector",
]

HTTP, GRPC = "http/protobuf", "grpc"
OK, REFUSED, AWAY = 200, 401, 503
_UNKNOWN = 404
_GRPC_STATUS = {REFUSED: grpc.StatusCode.UNAUTHENTICATED, AWAY: grpc.StatusCode.UNAVAILABLE}
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


class Recorder(TraceServiceServicer):
    """Takes spans over both protocols, and answers as it is told: with ``status``, and not before ``answers`` is set.

    ``ports`` are free ones that `start` finds; once stopped, it starts on the same again. What it has answered with 200 is in
    ``requests``, how often with another status ``refusals``; ``authorizations`` are the headers of whatever came.
    """

    def __init__(self) -> None:
        self.status = OK
        self.requests: list[ExportTraceServiceRequest] = []
        self.authorizations: list[str] = []
        self.refusals = 0
        self.answers = threading.Event()
        self.answers.set()
        self.ports = dict.fromkeys((HTTP, GRPC), 0)
        self._closing = contextlib.ExitStack()

    def start(self) -> None:
        web = ThreadingHTTPServer((LOOPBACK, self.ports[HTTP]), _handler(self))
        thread = threading.Thread(target=web.serve_forever, args=(_POLL_INTERVAL,))
        thread.start()
        self._closing.callback(web.server_close)
        self._closing.callback(thread.join)
        self._closing.callback(web.shutdown)
        threads = self._closing.enter_context(ThreadPoolExecutor(4))
        rpc = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
        add_TraceServiceServicer_to_server(self, rpc)  # type: ignore[no-untyped-call] # generated
        port = rpc.add_insecure_port(f"{LOOPBACK}:{self.ports[GRPC]}")
        rpc.start()
        self._closing.callback(lambda: rpc.stop(None).wait())
        self.ports = {HTTP: web.server_port, GRPC: port}

    def stop(self) -> None:
        self.answers.set()
        self._closing.close()

    def take(self, request: ExportTraceServiceRequest, authorization: str) -> int:
        """The status to answer with."""
        self.authorizations.append(authorization)
        self.answers.wait()
        if self.status == OK:
            self.requests.append(request)
        else:
            self.refusals += 1
        return self.status

    def Export(  # noqa: N802 - the name that its protocol has
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        said = {key: str(text) for key, text in context.invocation_metadata()}
        status = self.take(request, said.get("authorization", ""))
        if status != OK:
            context.abort(_GRPC_STATUS[status], "as told")
        return ExportTraceServiceResponse()

    def spans(self) -> list[Span]:
        return [span for _, span in _spans_of(self.requests)]


@dataclass(slots=True)
class Collector:
    """``url`` is what `OTEL_EXPORTER_OTLP_ENDPOINT` names; ``requests`` is what it has taken."""

    url: str
    protocol: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)

    @property
    def spans(self) -> list[SentSpan]:
        return [_sent(service, span) for service, span in _spans_of(self.requests)]

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


@contextlib.contextmanager
def collector(protocol: str = HTTP) -> Iterator[Collector]:
    """On a free port until the block ends."""
    recorder = Recorder()
    recorder.start()
    try:
        yield Collector(
            f"http://{LOOPBACK}:{recorder.ports[protocol]}", protocol, recorder.requests
        )
    finally:
        recorder.stop()


@contextlib.contextmanager
def silent_collector(protocol: str = HTTP) -> Iterator[Collector]:
    """It is connected to, and never says a word."""
    with socket.create_server((LOOPBACK, 0), backlog=_BACKLOG) as listener:
        yield Collector(f"http://{LOOPBACK}:{listener.getsockname()[1]}", protocol)


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            status = _UNKNOWN
            if self.path == _PATH:
                request = ExportTraceServiceRequest.FromString(body)
                status = recorder.take(request, self.headers.get("authorization", ""))
            content = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    return Handler


def _spans_of(requests: list[ExportTraceServiceRequest]) -> Iterator[tuple[str, Span]]:
    """Each with the name of its service."""
    for request in requests.copy():  # more may come meanwhile
        for resource in request.resource_spans:
            service = attributes_in(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield service, span


def _sent(service: str, span: Span) -> SentSpan:
    attributes = attributes_in(span.attributes)
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


def attributes_in(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """As Python has them."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value") or "string_value"
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
