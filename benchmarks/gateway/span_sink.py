"""Where traced nodes send their spans while they are measured: ``python -m benchmarks.gateway.span_sink``.

Says ``{"event":"ready","url":…}``, takes OTLP over HTTP, and answers each line on stdin with how many spans have come.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["main"]


class _Sink(ThreadingHTTPServer):
    spans = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Sink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(
            self.rfile.read(int(self.headers["Content-Length"]))
        )
        self.server.spans += sum(
            len(scope.spans)
            for resource in request.resource_spans
            for scope in resource.scope_spans
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


def main() -> None:
    with _Sink(("127.0.0.1", 0), _Handler) as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        _say({"event": "ready", "url": f"http://127.0.0.1:{sink.server_address[1]}"})
        for _ in sys.stdin:
            _say({"event": "spans", "spans": sink.spans})
        sink.shutdown()


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
