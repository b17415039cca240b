"""Every service as people run it, over a broker and a Redis: their own processes, told by their environment."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from harness.kafka_topics import KafkaTopics
from harness.names import unique
from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from tidewire.dev.processes import Child, ChildSpec, start_child
from tidewire.dev.running import ready_of
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action

__all__ = ["PARTITIONS", "SLOTS", "STREAM", "Process", "Services", "running_services"]

PARTITIONS, SLOTS = 4, 4
STREAM = "flights"
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 15.0
_PATIENCE = 5.0
_SERVICES = ("registry", "router", "publisher", "gateway")


@dataclass(slots=True)
class Process:
    """One service; ``url`` is where it answers about itself, None while it has not said so."""

    name: str
    child: Child
    ready: Mapping[str, Any] | None = None

    @property
    def url(self) -> str:
        assert self.ready is not None, "it has not said where it listens"
        url: str = self.ready.get("internal") or self.ready["http"]
        return url

    def wait_until_ready(self) -> None:
        self.ready = self.child.wait_until_ready(
            lambda: ready_of(self.child.output()), timeout=_START_TIMEOUT
        )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=_PATIENCE, trust_env=False)

    def metric(self, line: str) -> float:
        """The value of a line of the exposition, named with its labels and without the prefix."""
        return next(
            float(found.rpartition(" ")[2])
            for found in self.get("/metrics").text.splitlines()
            if found.startswith(f"tidewire_{line} ")
        )

    def log(self) -> list[dict[str, Any]]:
        """What it logged, without its ready line and what is no JSON."""
        lines = [line for line in self.child.output().splitlines() if line.startswith("{")]
        return [told for told in map(json.loads, lines) if "level" in told]

    def kill(self) -> None:
        """End it as a crash does."""
        if self.child.exit_code() is None:
            os.kill(self.child.pid, signal.SIGKILL)
        self.child.stop(_STOP_TIMEOUT)


class Services:
    """Starts what is asked for, with settings of their own names added; `stop` ends what is left."""

    def __init__(
        self, folder: Path, bootstrap: str, redis_url: str, settings: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.redis_url = redis_url
        self.registry_url = f"http://{LOOPBACK}:{free_port()}"
        names = (STREAM, "targeted", "inbox", "dlq", "group")
        self.stream, self.targeted, self.inbox, self.dlq, self.group = map(unique, names)
        self.revocations = unique("revocations")
        self._settings = settings
        self._processes: list[Process] = []
        self._key_file = folder / "token.key"
        self._key = ensure_key(self._key_file)
        streams = {STREAM: {"topic": self.stream, "partitions": PARTITIONS}}
        (folder / "streams.yaml").write_text(yaml.safe_dump({"streams": streams}))

    def make_topics(self) -> None:
        topics = KafkaTopics(self.bootstrap)
        for name, partitions in (
            (self.stream, PARTITIONS),
            (self.targeted, PARTITIONS),
            (self.inbox, SLOTS),
            (self.dlq, 1),
            (self.revocations, 1),
        ):
            topics.create(name, partitions)

    def token(self, user: str) -> str:
        """For whatever a test may want."""
        rights = [Action.SUBSCRIBE, Action.PUBLISH]
        return issue_token(self._key, user, {"**": rights, "@user/**": rights}, ttl=600)

    def begin(self, name: str, **more: str) -> Process:
        """Start a service by its name (gateway, publisher, registry, router), and do not wait for it."""
        prefix = f"TIDEWIRE_{name.upper()}__"
        settings = {"READY_JSON": "1", **self._settings, **self._settings_of(name), **more}
        spec = ChildSpec(
            name,
            [sys.executable, "-m", f"tidewire_{name}"],
            self.folder / f"{name}.log",
            environment={
                "PYTHONUNBUFFERED": "1",
                **{prefix + setting: text for setting, text in settings.items()},
            },
        )
        process = Process(name, start_child(spec))
        self._processes.append(process)
        return process

    def start(self, name: str, **more: str) -> Process:
        """`begin`, and wait until it says that it is ready."""
        process = self.begin(name, **more)
        process.wait_until_ready()
        return process

    def start_all(self) -> dict[str, Process]:
        """By name, all ready, and the gateway known to the registry."""
        started = {name: self.begin(name) for name in _SERVICES}
        for process in started.values():
            process.wait_until_ready()
        gateway = started["gateway"]
        wait_until(lambda: gateway.metric("lease_held") == 1, within=20.0, what="the lease")
        return started

    def stop(self) -> None:
        for process in self._processes:
            process.child.terminate()
        for process in self._processes:
            process.child.stop(_STOP_TIMEOUT)

    def _settings_of(self, name: str) -> dict[str, str]:
        kafka = {"KAFKA__BOOTSTRAP": self.bootstrap}
        secured = {
            **kafka,
            "STREAMS": str(self.folder / "streams.yaml"),
            "PORT": "0",
            "TOKEN_KEY_FILE": str(self._key_file),
            "REVOCATIONS_TOPIC": self.revocations,
            "TRUST_PROXY_TLS": "true",
        }
        if name == "registry":
            port = self.registry_url.rpartition(":")[2]
            return {"PORT": port, "REDIS_URL": self.redis_url, "SLOTS": str(SLOTS), "LEASE": "3"}
        if name == "publisher":
            return {**secured, "TARGETED_TOPIC": self.targeted, "REGISTRY_URL": self.registry_url}
        if name == "gateway":
            return {
                **secured,
                "DRAIN_DELAY": "0",
                "DRAIN_WINDOW": "0.5",
                "TARGETED__REGISTRY_URL": self.registry_url,
                "TARGETED__REDIS_URL": self.redis_url,
                "TARGETED__TOPIC": self.targeted,
                "TARGETED__INBOX_TOPIC": self.inbox,
                "TARGETED__EPOCH": "first",
            }
        return {
            **kafka,
            "REDIS_URL": self.redis_url,
            "REGISTRY_URL": self.registry_url,
            "TARGETED_TOPIC": self.targeted,
            "INBOX_TOPIC": self.inbox,
            "DLQ_TOPIC": self.dlq,
            "GROUP_ID": self.group,
            "EPOCH": "first",
            "INTERNAL_PORT": "0",
            "WATCH_INTERVAL": "0.5",
        }


@contextlib.contextmanager
def running_services(
    folder: Path, bootstrap: str, redis_url: str, **settings: str
) -> Iterator[Services]:
    """A place for services, which have ended when the block is left; ``settings`` are those of each."""
    services = Services(folder, bootstrap, redis_url, settings)
    try:
        yield services
    finally:
        services.stop()
