"""A gateway process of a drill: started, killed, drained, stopped for a while, asked for its metrics."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from harness.one_address import LIFTED_VARIABLES
from harness.waiting import wait_until
from tidewire.dev.processes import Child, ChildSpec, start_child
from tidewire.dev.running import Node, node_of, ready_of

from .code import OURS, Code, running
from .exposition import Exposition, parse
from .shifted_clock import shifted

__all__ = ["DrillNode", "NodeSpec"]

TESTS = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0
PATIENCE = 10.0
_TIME = re.compile(r"\btime=(\S+)")


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """``settings`` go below ``TIDEWIRE_GATEWAY__``; ``sabotage`` names one of `drills.sabotage`.

    ``launcher`` becomes the process, as `nice` would; ``clock_shift`` is how far its clock jumps (`drills.shifted_clock`).
    ``code`` may be that of a release.
    """

    name: str
    bootstrap: str
    streams: Path
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    sabotage: str | None = None
    launcher: Sequence[str] = ()
    clock_shift: float | None = None
    code: Code = OURS


class DrillNode:
    """Keeps its ports from its first start on, so that clients find it again."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self._ports = ("0", "0")
        self._child: Child | None = None
        self._running: Node | None = None
        self._http = httpx.Client(timeout=PATIENCE, trust_env=False)

    @property
    def ws(self) -> str:
        return self._node.ws

    @property
    def http(self) -> str:
        return self._node.http

    @property
    def pid(self) -> int:
        return self._node.pid

    @property
    def internal(self) -> str:
        return self._node.internal

    @property
    def _node(self) -> Node:
        assert self._running is not None, "it was never started"
        return self._running

    def start(self) -> None:
        """Returns once it serves."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """Start its process, without waiting for it."""
        module = ["tidewire_gateway"]
        if self.spec.sabotage is not None:
            module = ["drills.sabotage", self.spec.sabotage]
        child = ChildSpec(
            self.spec.name,
            [*self.spec.launcher, sys.executable, "-m", *shifted(self.spec.clock_shift, module)],
            self.spec.log,
            environment=self._environment(),
        )
        self._child = start_child(running(child, self.spec.code))

    def wait_until_ready(self) -> None:
        child = self._child
        assert child is not None, "it was not started"
        message = child.wait_until_ready(lambda: ready_of(child.output()), timeout=START_TIMEOUT)
        self._running = node_of(message)
        self._ports = _port(self._node.http), _port(self._node.internal)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait_for_end(PATIENCE)

    def wait_for_end(self, within: float) -> int:
        """The exit code."""
        wait_until(lambda: self._exit_code() is not None, within=within, what=self.spec.name)
        code = self._exit_code()
        assert code is not None
        return code

    def stop(self) -> None:
        """End it whatever state it is in; nothing where it does not run."""
        if self._child is not None and self._exit_code() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self._child.stop(PATIENCE)
        self._http.close()

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._exit_code() is None

    def _exit_code(self) -> int | None:
        assert self._child is not None
        return self._child.exit_code()

    def metrics(self) -> Exposition:
        return parse(self._http.get(f"{self.internal}/metrics").raise_for_status().text)

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def logged(self, text: str) -> Iterator[float]:
        """When (Unix seconds) it logged lines that hold ``text``."""
        for line in self.spec.log.read_text(errors="replace").splitlines():
            if text in line and (found := _TIME.search(line)):
                yield datetime.fromisoformat(found[1]).timestamp()

    def _environment(self) -> dict[str, str]:
        settings = {
            "HOST": "127.0.0.1",
            "NODE": self.spec.name,
            "PORT": self._ports[0],
            "INTERNAL_PORT": self._ports[1],
            "STREAMS": str(self.spec.streams),
            "KAFKA__BOOTSTRAP": self.spec.bootstrap,
            "DEV": "true",
            "READY_JSON": "1",
            **LIFTED_VARIABLES,
            **self.spec.settings,
        }
        paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
        return {
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            **{f"TIDEWIRE_GATEWAY__{name}": text for name, text in settings.items()},
        }


def _port(url: str) -> str:
    return str(urlsplit(url).port)
