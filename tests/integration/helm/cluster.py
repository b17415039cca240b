"""An API server that knows one Deployment, for what the chart looks up in a cluster."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from harness.ports import LOOPBACK
from integration.helm.chart import NAMESPACE, RELEASE

__all__ = ["cluster_with"]

_PLACE = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}-tidewire-gateway"
_VERSIONS = [{"groupVersion": "apps/v1", "version": "v1"}]
_GROUP = {"name": "apps", "versions": _VERSIONS, "preferredVersion": _VERSIONS[0]}
_KIND = {"name": "deployments", "namespaced": True, "kind": "Deployment", "verbs": ["get"]}
_KNOWN: Mapping[str, Any] = {
    "/version": {"major": "1", "minor": "30", "gitVersion": "v1.30.0"},
    "/api": {"kind": "APIVersions", "versions": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [_KIND],
    },
}


class _Answers(BaseHTTPRequestHandler):
    def __init__(self, known: Mapping[str, Any], *words: Any) -> None:
        self._known = known
        super().__init__(*words)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        missing = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        body = json.dumps(self._known.get(path, missing)).encode()
        self.send_response(200 if path in self._known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written."""


@contextmanager
def cluster_with(gateway: Mapping[str, Any] | None) -> Iterator[str]:
    """Its URL; ``gateway`` is the Deployment that is there."""
    known = {**_KNOWN, **({_PLACE: gateway} if gateway else {})}
    server = ThreadingHTTPServer((LOOPBACK, 0), partial(_Answers, known))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
