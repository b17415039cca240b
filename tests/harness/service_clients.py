"""Who asks services that run as processes: over HTTP, and over a WebSocket."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from .services import Process

__all__ = ["PATIENCE", "Client", "asking", "client_of"]

PATIENCE = 20.0


class Client:
    """A WebSocket that is read until something comes."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last_id = 0

    def ask(self, kind: str, **payload: Any) -> None:
        self._last_id += 1
        message = {"v": 1, "type": kind, "id": self._last_id, "payload": payload}
        self._connection.send(json.dumps(message))

    def say(self, text: str) -> None:
        self._connection.send(text)

    def until(self, kind: str, text: str = "") -> dict[str, Any]:
        """The payload of the first message of this type with the text in it."""
        while True:
            frame = json.loads(self._connection.recv(timeout=PATIENCE))
            for message in frame if isinstance(frame, list) else [frame]:
                if message["type"] == kind and text in json.dumps(message):
                    payload: dict[str, Any] = message["payload"]
                    return payload

    def subscribe(self, channel: str, **options: Any) -> dict[str, Any]:
        self.ask("subscribe", channel=channel, **options)
        return self.until("subscribed")


@contextlib.contextmanager
def client_of(gateway: Process, token: str) -> Iterator[Client]:
    assert gateway.ready is not None
    with connect(gateway.ready["ws"], compression=None, proxy=None) as connection:
        client = Client(connection)
        client.ask("hello", client="test/1", token=token)
        client.until("welcome")
        yield client


@contextlib.contextmanager
def asking(part: Process, token: str) -> Iterator[httpx.Client]:
    """Of a service's public port, with a bearer header."""
    assert part.ready is not None
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(
        base_url=part.ready["http"], headers=headers, timeout=PATIENCE, trust_env=False
    ) as http:
        yield http
