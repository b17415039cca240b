"""A node that serves the dashboard and says of its feeds what the test tells it to, on one port."""

import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from integration.client.scripted_gateway import Json, Peer, ScriptedGateway, scripted_gateway

__all__ = ["ScriptedNode", "scripted_node"]

ROOT = Path(__file__).parents[2]
FLIGHT = {"status": "delayed", "carrier": "TW", "flight": 1, "dest": "SFO", "dep_delay": 45}
OTHERS = 900  # numbers of the subscriptions that stay empty


class ScriptedNode(ScriptedGateway):
    """Stream `flights` holds one row; the page's other subscriptions stand and stay empty."""

    def __init__(self, name: str = "scripted-1") -> None:
        super().__init__()
        self.welcome["node"] = name
        self.records = [("JFK/TW-1", FLIGHT)]
        self.intercept = self._only_flights
        self._others = OTHERS

    @property
    def ready(self) -> Json:
        """As the ready line of a run has it."""
        http = self.url.replace("ws://", "http://").removesuffix("/v1/ws")
        return {"nodes": [{"http": http, "ws": self.url}]}

    @property
    def run(self) -> Any:
        """What `open_dashboard` needs of a run."""
        return SimpleNamespace(ready=self.ready)

    async def tell(self, state: str, age_ms: int, *, everybody: bool = False) -> None:
        """`status` to every flights subscription or, with ``everybody``, one without a number."""
        for peer in self.live:
            if everybody:
                await peer.send("status", {"state": state, "age_ms": age_ms})
                continue
            for sub in peer.subscriptions:
                await peer.send("status", {"sub": sub, "state": state, "age_ms": age_ms})

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/v1/ws":
            return super().refuse(socket, request)
        return _file(socket, path)

    def _only_flights(self, peer: Peer, request: Json) -> Json | None:
        payload = request["payload"]
        if request["type"] != "subscribe" or payload["channel"].startswith("flights"):
            return None
        self._others += 1
        standing = {"sub": self._others, "channel": payload["channel"], "interval_ms": 0}
        position = {"epoch": "others", "offsets": {"0": 0}}
        mode = payload.get("mode", "latest")
        return {
            "type": "subscribed",
            "payload": {**standing, "mode": mode, "position": position, "recovered": "none"},
        }


def _file(socket: ServerConnection, path: str) -> Response:
    folder, name = ROOT / "examples" / "flights" / "dashboard", path.removeprefix("/")
    if path.startswith("/sdk/"):
        folder, name = ROOT / "sdk" / "js" / "src", path.removeprefix("/sdk/")
    file = folder / (name or "index.html")
    if not file.is_file():
        return socket.respond(HTTPStatus.NOT_FOUND, f"no {path}\n")
    response = socket.respond(HTTPStatus.OK, "")
    response.body = file.read_bytes()
    del response.headers["Content-Type"], response.headers["Content-Length"]
    response.headers["Content-Type"] = mimetypes.guess_type(file)[0] or "application/octet-stream"
    response.headers["Content-Length"] = str(len(response.body))
    return response


@asynccontextmanager
async def scripted_node(name: str = "scripted-1") -> AsyncIterator[ScriptedNode]:
    node = ScriptedNode(name)
    async with scripted_gateway(node):
        yield node
