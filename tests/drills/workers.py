"""The processes of a drill beside nodes and broker: publishers and client groups."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.waiting import wait_until
from tidewire.dev.processes import Child, ChildSpec, start_child
from tidewire.dev.running import ready_of

from .attacker import Attack
from .load import Client
from .publisher import Flow, UserFlow

__all__ = ["Worker", "start_attacker", "start_load", "start_proxy", "start_publisher"]

TESTS = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0
END_TIMEOUT = 150.0
KILL_TIMEOUT = 5.0


class Worker:
    """A process that works until it is told to finish, or by itself when its work is done.

    ``said`` is its ready line.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.said: Mapping[str, Any] = {}
        self._is_finished = False

    def wait_until_ready(self, within: float = START_TIMEOUT) -> None:
        child = self.child
        self.said = child.wait_until_ready(lambda: ready_of(child.output()), timeout=within)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.child.pid, number)

    def look_after(self) -> None:
        """Raises `ChildFailedError` where it has failed."""
        if not self._is_finished and self.child.exit_code() not in (None, 0):
            raise self.child.failure(f"failed ({self.child.describe_end()})")

    def end_soon(self) -> None:
        """Have it end its work."""
        self.child.terminate()

    def finish(self) -> None:
        """Have it end its work; returns once it has, and raises where it failed."""
        self.end_soon()
        self.wait()

    def wait(self, within: float = END_TIMEOUT) -> None:
        """Until its work is done."""
        wait_until(
            lambda: self.child.exit_code() is not None,
            within=within,
            what=f"end of {self.child.name}",
        )
        self.look_after()
        self._is_finished = True

    def kill(self) -> None:
        """End it whatever it does."""
        self._is_finished = True
        self.child.stop(KILL_TIMEOUT)


def start_publisher(
    folder: Path, name: str, bootstrap: str, flows: Sequence[Flow | UserFlow]
) -> Worker:
    asked = {
        "bootstrap": bootstrap,
        "flows": [asdict(flow) for flow in flows if isinstance(flow, Flow)],
        "user_flows": [asdict(flow) for flow in flows if isinstance(flow, UserFlow)],
    }
    return _start(folder, name, ["drills.publisher", _config(folder, name, asked)])


def start_load(
    folder: Path, name: str, histories: Path, clients: Sequence[Client], *, quiet: float
) -> Worker:
    """``quiet``: how long nothing must have come before the clients end."""
    asked = {
        "histories": str(histories),
        "clients": [asdict(client) for client in clients],
        "quiet": quiet,
    }
    return _start(folder, name, ["drills.load", _config(folder, name, asked)])


def start_attacker(folder: Path, name: str, attack: Attack) -> Worker:
    worker = _start(folder, name, ["drills.attacker", _config(folder, name, asdict(attack))])
    worker.wait_until_ready()
    return worker


def start_proxy(folder: Path, port: int) -> Worker:
    worker = _start(folder, "proxy", ["drills.half_open", str(port)])
    worker.wait_until_ready()
    return worker


def _config(folder: Path, name: str, asked: object) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(asked))
    return str(path)


def _start(folder: Path, name: str, module: Sequence[str]) -> Worker:
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    return Worker(
        start_child(
            ChildSpec(
                name,
                [sys.executable, "-m", *module],
                folder / f"{name}.log",
                environment={"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )
        )
    )
