"""A gateway that is attacked, and a neighbour that must not notice."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import ClientConnection

from harness.gateway_process import GatewayProcess, hello, running_process
from harness.kafka_topics import KafkaTopics
from harness.names import unique
from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.records import Header, NewRecord
from tidewire.kafka.settings import KafkaSettings

from .wire import PATIENCE

__all__ = ["CHANNEL", "Site", "running_site"]

CHANNEL: Final = "news"
_MOST_GROWTH: Final = 24 << 20
"""Bytes that a node may have more in memory after an attack than before: what its allocator keeps, and its own work."""
_MOST_LINES: Final = 20
"""Of log for an attack, however long it was."""


class Site:
    """A node of its own process over a real broker, its log, and a client that follows a stream."""

    def __init__(
        self, gateway: GatewayProcess, neighbour: ClientConnection, topic: str, bootstrap: str
    ) -> None:
        self.ws: str = gateway.ready["ws"]
        self._gateway = gateway
        self._neighbour = neighbour
        self._topic = topic
        self._writer = ConfluentWriter(KafkaSettings(bootstrap=bootstrap))
        self._published = 0

    def publish(self, data: bytes, *headers: Header, key: bytes = b"a") -> None:
        self._writer.offer(NewRecord(self._topic, 0, key, data, headers))
        assert self._writer.flush(PATIENCE) == 0

    def serve_neighbour(self) -> None:
        """An event of the stream reaches the client that behaves."""
        self._published += 1
        self.publish(b'{"number":%d}' % self._published)
        while True:
            message = json.loads(self._neighbour.recv(timeout=PATIENCE))
            for event in message["payload"].get("events", ()):
                if event["data"] == {"number": self._published}:
                    return

    def memory(self) -> int:
        """Bytes of the node's process in memory."""
        status = Path(f"/proc/{self._gateway.ready['pid']}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) << 10

    @property
    def ports(self) -> list[str]:
        """Where it speaks HTTP: in public, and to its own."""
        return [self._gateway.ready["http"], self._gateway.ready["internal"]]

    def log(self) -> list[str]:
        return self._gateway.said().splitlines()

    @contextlib.contextmanager
    def unharmed(self) -> Iterator[None]:
        """What is done meanwhile costs the neighbour nothing, little memory, and few lines of log, all of them JSON."""
        self.serve_neighbour()
        lines, memory = len(self.log()), self.memory()
        yield
        self.serve_neighbour()
        grown = self.memory() - memory
        assert grown < _MOST_GROWTH, f"{grown >> 20} MiB more"
        told = self.log()[lines:]
        assert len(told) <= _MOST_LINES, told
        for line in told:
            entry: dict[str, Any] = json.loads(line)
            assert "exception" not in entry, line
            assert entry["level"] not in {"error", "critical"}, line

    def close(self) -> None:
        self._writer.close(PATIENCE)


@contextlib.contextmanager
def running_site(folder: Path, bootstrap: str, **settings: str) -> Iterator[Site]:
    topic = unique("hostile")
    KafkaTopics(bootstrap).create(topic, 1)
    streams = folder / "streams.yaml"
    streams.write_text(
        f"streams: {{{CHANNEL}: {{topic: {topic}, modes: [every, latest], public: true}}}}"
    )
    subscribe = {"v": 1, "type": "subscribe", "payload": {"channel": CHANNEL, "mode": "every"}}
    with (
        running_process(streams, KAFKA__BOOTSTRAP=bootstrap, **settings) as gateway,
        hello(gateway.ready["ws"]) as (neighbour, _),
    ):
        neighbour.send(json.dumps(subscribe))
        site = Site(gateway, neighbour, topic, bootstrap)
        try:
            yield site
        finally:
            site.close()
