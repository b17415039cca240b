"""An HTTP server in a thread that answers what it was told to, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .ports import LOOPBACK

__all__ = ["Answering", "Asked", "answering"]

_POLL_INTERVAL = 0.01
_NOT_FOUND = {"type": "urn:tidewire:problem:not-found", "detail": "no such path"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; ``path`` as it was sent, header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Answering:
    """``answers``: status and body (bytes, or what becomes JSON) by method and path."""

    url: str
    answers: dict[tuple[str, str], tuple[int, Any]]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def answering(answers: dict[tuple[str, str], tuple[int, Any]]) -> Iterator[Answering]:
    """Answers on a free port until the block ends; what it does not know is a 404."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            headers = {name.lower(): text for name, text in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            served.asked.append(Asked(self.command, self.path, headers, body))
            status, told = served.answers.get((self.command, self.path), (404, _NOT_FOUND))
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        served = Answering(f"http://{LOOPBACK}:{server.server_port}", answers)
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_INTERVAL,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
