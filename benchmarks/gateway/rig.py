"""What every measurement stands on: a real Kafka, its topics, a publisher, gateway nodes, tokens."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from tidewire.bench.errors import BenchError
from tidewire.config.streams import is_reserved
from tidewire.dev import apache
from tidewire.dev.brokers import apache_kafka
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings

from .processes import SERVER_CORE, SOURCE_CORE, Talker, start_talker
from .publishing import Schedule

__all__ = ["Node", "Rig", "StreamSpec", "running_rig", "tokens_file"]

_JAVA_OPTIONS = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC")
"""A broker as it runs elsewhere, with both compilers."""
_BROKER_PRIORITY = -5
_START_TIMEOUT = 30.0
_PATIENCE = 120.0
_KEY = "11" * 32
_MAX_CONNECTIONS = 60_000
_LIMITS = {
    "MAX_CONNECTIONS": str(_MAX_CONNECTIONS),
    "MAX_HANDSHAKES": str(_MAX_CONNECTIONS),
    "MAX_LOOP_LAG": "60",
    "CONNECTIONS_PER_ADDRESS": "0",
    "ADDRESS_HANDSHAKES_PER_SECOND": "0",
    "HANDSHAKES_PER_SECOND": "0",
    "CONNECTIONS_PER_USER": "0",
}
"""Thousands come at once here, and nodes are held still; what the limits do is a matter of drills."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One topic and the stream of the same name, as far as measurements need it."""

    name: str
    partitions: int = 1
    modes: Sequence[str] = ("every", "latest")
    public: bool = True
    table: bool = False

    def to_yaml(self) -> dict[str, Any]:
        return {
            "topic": self.name,
            "partitions": self.partitions,
            "group": "key-prefix",
            "modes": list(self.modes),
            "public": self.public,
            "table": self.table,
        }


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway process under measurement."""

    ws: str
    internal: str
    pid: int

    def metric(self, name: str) -> float:
        """A metric's value now, of all its children together; ``name`` without ``tidewire_``."""
        answer = httpx.get(f"{self.internal}/metrics", timeout=_PATIENCE, trust_env=False)
        lines = answer.raise_for_status().text.splitlines()
        starts = (f"tidewire_{name} ", f"tidewire_{name}{{")
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(starts))


@dataclass(slots=True)
class Rig:
    """``folder`` holds what the parts write, until the measurements end."""

    folder: Path
    bootstrap: str
    publisher: Talker
    _specs: dict[str, StreamSpec] = field(default_factory=dict)

    def make(self, *specs: StreamSpec) -> None:
        """Make the topics of streams; nodes that are started later serve them."""
        admin = ConfluentAdmin(KafkaSettings(bootstrap=self.bootstrap))
        for spec in specs:
            config = {"cleanup.policy": "compact"} if spec.table else {}
            admin.create(TopicSpec(spec.name, spec.partitions, config))
            self._specs[spec.name] = spec
        admin.close()

    def begin(self, topic: str, count: int, rate: float, **details: Any) -> None:
        """Publish in the background; `ended` waits for it."""
        partitions = self._specs[topic].partitions
        self.publisher.tell(Schedule(topic, partitions, count, rate, **details).to_json())

    def ended(self) -> None:
        self.publisher.hear(_PATIENCE)

    def publish(self, topic: str, count: int, rate: float = 0.0, **details: Any) -> None:
        self.begin(topic, count, rate, **details)
        self.ended()

    @contextlib.contextmanager
    def node(
        self,
        name: str,
        settings: Mapping[str, str] | None = None,
        *,
        core: int | None = SERVER_CORE,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Node]:
        """A gateway that serves every stream made so far; ends with the block.

        ``variables`` are further ones of its environment.
        """
        with self._gateway(name, settings or {}, core=core, variables=variables or {}) as ready:
            yield Node(ready["ws"], ready["internal"], ready["pid"])

    @contextlib.contextmanager
    def nodes(self, name: str, count: int) -> Iterator[str]:
        """``count`` nodes behind one port, on whichever cores; the port's URL."""
        options = ["--processes", str(count)]
        with self._gateway(name, {}, core=None, options=options, variables={}) as ready:
            yield ready["ws"] if count == 1 else ready["nodes"][0]["ws"]

    @contextlib.contextmanager
    def _gateway(
        self,
        name: str,
        settings: Mapping[str, str],
        *,
        core: int | None,
        variables: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """What a gateway says once it serves."""
        environment = {**self._environment(name, settings), **variables}
        with self.service(name, "gateway", environment, core=core, options=options) as ready:
            yield ready

    @contextlib.contextmanager
    def service(
        self,
        name: str,
        service: str,
        environment: Mapping[str, str],
        *,
        core: int | None,
        options: Sequence[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """What one of the services says once it serves; ends with the block."""
        command = [sys.executable, "-m", f"tidewire_{service}", *options]
        log = self.folder / f"{name}.log"
        with start_talker(name, command, core=core, environment=environment, log=log) as child:
            try:
                ready = child.hear(_START_TIMEOUT)
            except BenchError as error:
                raise BenchError(f"{error}\n{log.read_text()[-2000:]}") from None
            yield ready

    def _environment(self, name: str, settings: Mapping[str, str]) -> dict[str, str]:
        streams = self.folder / f"{name}.yaml"
        specs = {s.name: s.to_yaml() for s in self._specs.values() if not is_reserved(s.name)}
        streams.write_text(json.dumps({"streams": specs}))
        given = {
            "NODE": name,
            "PORT": "0",
            "STREAMS": str(streams),
            "TOKEN_KEY_FILE": str(self.folder / "token.key"),
            "TRUST_PROXY_TLS": "true",
            "KAFKA__BOOTSTRAP": self.bootstrap,
            "READY_JSON": "1",
            "LOG_LEVEL": "WARNING",
            **{f"LIMITS__{key}": value for key, value in _LIMITS.items()},
            **settings,
        }
        return {f"TIDEWIRE_GATEWAY__{key}": value for key, value in given.items()}


@contextlib.contextmanager
def running_rig() -> Iterator[Rig]:
    """A Kafka of its own and a publisher, both on the core of the load."""
    publisher = [sys.executable, "-m", "benchmarks.gateway.publishing"]
    with (
        tempfile.TemporaryDirectory(prefix="tidewire-bench-") as path,
        mock.patch.object(apache, "JAVA_OPTIONS", _JAVA_OPTIONS),
        apache_kafka(Path(path)) as broker,
    ):
        folder = Path(path)
        (folder / "token.key").write_text(_KEY)
        _settle(broker.pid)
        with start_talker("publisher", [*publisher, broker.bootstrap], core=SOURCE_CORE) as talker:
            rig = Rig(folder, broker.bootstrap, talker)
            _warm_up(rig)
            yield rig


def tokens_file(rig: Rig, count: int) -> Path:
    """A file of tokens, one a line and each of another user, that every node of the rig accepts."""
    path = rig.folder / f"tokens-{count}"
    if not path.exists():
        key = bytes.fromhex(_KEY)
        caps = {"**": [Action.SUBSCRIBE]}
        tokens = (issue_token(key, f"user-{n}", caps, ttl=86_400) for n in range(count))
        path.write_text("\n".join(tokens) + "\n")
    return path


def _warm_up(rig: Rig) -> None:
    """A broker that has just started compiles for seconds, on the core that others need."""
    rig.make(StreamSpec("warm-up", partitions=4))
    rig.publish("warm-up", 100_000, keys=100)
    rig.publish("warm-up", 6000, 2000.0, keys=100)


def _settle(pid: int) -> None:
    """Keep the broker to the core of the load; each thread has its own affinity in Linux."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {SOURCE_CORE})
            os.setpriority(os.PRIO_PROCESS, int(thread.name), _BROKER_PRIORITY)
