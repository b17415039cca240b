"""Where clients get tokens for their credentials (RFC 6749, 4.4), over TLS; the tokens are signed by nobody."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from harness.certificate import Certificate
from harness.ports import LOOPBACK

__all__ = ["TokenEndpoint", "token_endpoint"]

LIFE = 60
_CLAIMS_TYPE = {"alg": "none"}


@dataclass
class TokenEndpoint:
    """``asked`` are the forms that came with the right credentials; ``instead`` is what they are answered, if not a token."""

    client: str
    secret: str
    url: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    instead: tuple[int, Any] | None = None

    def answer(self, authorization: str, form: str) -> tuple[int, Any]:
        pair = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        if authorization != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        self.asked.append(parse_qs(form))
        if self.instead is not None:
            return self.instead
        return 200, {"access_token": self._token(), "token_type": "Bearer", "expires_in": LIFE}

    def _token(self) -> str:
        now = int(time.time())
        claims = {"sub": self.client, "iat": now, "exp": now + LIFE}
        return f"{_part(_CLAIMS_TYPE)}.{_part(claims)}."


def _part(content: dict[str, object] | dict[str, str] | dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@contextlib.contextmanager
def token_endpoint(client: str, secret: str, certificate: Certificate) -> Iterator[TokenEndpoint]:
    """Answers until the block is left."""
    endpoint = TokenEndpoint(client, secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, told = endpoint.answer(self.headers.get("Authorization", ""), form)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Location", endpoint.url)  # of a redirect, which brings it back here
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.socket = certificate.server_context().wrap_socket(server.socket, server_side=True)
    endpoint.url = f"https://{LOOPBACK}:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
