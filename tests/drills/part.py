"""A registry, a router or a Redis of a drill: started, killed, stopped for a while, started again where it was."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from tidewire.dev.probe import port_answers
from tidewire.dev.processes import Child, ChildSpec, start_child
from tidewire.dev.running import ready_of

from .exposition import Exposition, parse

__all__ = ["Part", "PartSpec", "drill_redis", "service"]

TESTS = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0
END_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class PartSpec:
    """``is_ready`` looks at what it wrote, and answers None until it serves."""

    child: ChildSpec
    is_ready: Callable[[Child], Mapping[str, Any] | None] = field(
        default=lambda child: ready_of(child.output())
    )


class Part:
    """``said`` is its ready line."""

    def __init__(self, spec: PartSpec) -> None:
        self.spec = spec
        self.said: Mapping[str, Any] = {}
        self._child: Child | None = None

    def start(self) -> None:
        """Returns once it serves."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        self._child = start_child(self.spec.child)

    def wait_until_ready(self) -> None:
        child = self._running
        self.said = child.wait_until_ready(lambda: self.spec.is_ready(child), timeout=START_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        self.wait_for_end()

    def leave(self) -> None:
        """Have it end in order."""
        self._running.terminate()
        self.wait_for_end()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._running.pid, number)

    def wait_for_end(self) -> None:
        child = self._running
        wait_until(
            lambda: child.exit_code() is not None, within=END_TIMEOUT, what=f"end of {child.name}"
        )

    def stop(self) -> None:
        """End it whatever state it is in; nothing where it does not run."""
        if self.is_running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self._running.stop(STOP_TIMEOUT)

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code() is None

    @property
    def _running(self) -> Child:
        assert self._child is not None, "it was never started"
        return self._child

    def metrics(self) -> Exposition:
        url = self.said.get("internal") or self.said["http"]
        answer = httpx.get(f"{url}/metrics", timeout=PATIENCE, trust_env=False)
        return parse(answer.raise_for_status().text)


def service(folder: Path, name: str, command: list[str], settings: Mapping[str, str]) -> Part:
    """A service of ours; ``settings`` are whole names of the environment."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        **settings,
    }
    arguments = [sys.executable, "-m", *command]
    return Part(
        PartSpec(ChildSpec(name, arguments, folder / f"{name}.log", environment=environment))
    )


def drill_redis(folder: Path) -> tuple[Part, int]:
    """A redis-server that keeps its data when it is killed and started again, and its port."""
    home = folder / "redis"
    home.mkdir()
    port = free_port()
    program = shutil.which("redis-server") or "redis-server"
    command = [program, "--bind", LOOPBACK, "--port", str(port), "--dir", str(home)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]

    def is_ready(child: Child) -> Mapping[str, Any] | None:
        is_loaded = "Ready to accept connections" in child.output()
        return {} if is_loaded and port_answers(LOOPBACK, port) else None

    return Part(PartSpec(ChildSpec("redis", command, folder / "redis.log"), is_ready)), port
