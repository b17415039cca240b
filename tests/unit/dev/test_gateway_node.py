"""A gateway that ends is started again on its ports, with growing pauses, and not for ever."""

import json
from pathlib import Path

import pytest

from tidewire.dev.data_dir import DataDir, claimed
from tidewire.dev.errors import ChildFailedError, DataDirError
from tidewire.dev.gateway_node import (
    MOST_ATTEMPTS,
    START_TIMEOUT,
    GatewayNode,
    NodeEvents,
    NodeState,
)
from tidewire.dev.parts import NodePorts
from tidewire.dev.processes import telling
from tidewire.dev.running import Node
from tidewire.restarts import MOST_PAUSE, STEADY_AFTER


class Process:
    """Runs until ``code`` is set; says what is in ``said``."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.said = ""

    def exit_code(self) -> int | None:
        return self.code

    def output(self) -> str:
        return self.said

    def describe_end(self) -> str:
        return f"exit code {self.code}"

    def failure(self, what: str) -> ChildFailedError:
        return ChildFailedError(what, part="gateway-1")

    def is_up(self, pid: int = 1) -> None:
        ready = {"event": "ready", "ws": "ws://h:81/v1/ws", "http": "http://h:81"}
        self.said = json.dumps({**ready, "internal": "http://h:82", "pid": pid})


class Watched:
    """A node under test, with what it started and told."""

    def __init__(self) -> None:
        self.starts: list[NodePorts] = []
        self.told: list[str] = []
        self.node = GatewayNode(
            "gateway-1", self._start, NodeEvents(self._up, self._down), ports=NodePorts(80), now=0.0
        )

    def _start(self, ports: NodePorts) -> Process:
        self.starts.append(ports)
        return Process()

    def _up(self, _name: str, node: Node) -> None:
        self.told.append(f"up {node.pid}")

    def _down(self, _name: str, how: str, pause: float) -> None:
        assert 0 <= pause <= MOST_PAUSE
        self.told.append(f"down {how}")


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_node_that_ended_starts_again_on_the_ports_it_had(watched: Watched) -> None:
    watched.node.child.is_up(pid=1)
    watched.node.tick(1.0)
    watched.node.child.code = -9
    watched.node.tick(2.0)
    assert watched.node.state is NodeState.PAUSING
    watched.node.tick(2.0 + MOST_PAUSE)
    watched.node.child.is_up(pid=2)
    watched.node.tick(3.0 + MOST_PAUSE)
    assert watched.starts == [NodePorts(80), NodePorts(81, 82)]
    assert watched.told == ["up 1", "down exit code -9", "up 2"]


def test_node_that_never_came_up_fails_the_run(watched: Watched) -> None:
    watched.node.child.code = 2
    with pytest.raises(ChildFailedError, match=r"failed \(exit code 2\)"):
        watched.node.tick(1.0)


def test_node_that_is_silent_for_too_long_fails_the_run(watched: Watched) -> None:
    watched.node.tick(START_TIMEOUT - 1)
    with pytest.raises(ChildFailedError, match="not ready"):
        watched.node.tick(START_TIMEOUT)


def _ends_in_a_row(watched: Watched, times: int, *, runs_for: float) -> float:
    now = 0.0
    for _ in range(times):
        watched.node.child.is_up()
        watched.node.tick(now)
        now += runs_for
        watched.node.tick(now)
        watched.node.child.code = 1
        watched.node.tick(now)
        now += MOST_PAUSE
        watched.node.tick(now)
    return now


def test_node_that_keeps_ending_fails_the_run(watched: Watched) -> None:
    now = _ends_in_a_row(watched, MOST_ATTEMPTS, runs_for=1.0)
    watched.node.child.code = 1
    with pytest.raises(ChildFailedError, match=f"ended {MOST_ATTEMPTS + 1} times in a row"):
        watched.node.tick(now)


def test_node_that_ran_well_between_ends_is_started_for_ever(watched: Watched) -> None:
    _ends_in_a_row(watched, 3 * MOST_ATTEMPTS, runs_for=STEADY_AFTER)
    assert len(watched.starts) == 3 * MOST_ATTEMPTS + 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        (["starting", "it broke"], "it broke"),
        (["error: port taken", "hint: another"], "error: port taken"),
        (["Caused by: x", "\tat y"], "Caused by: x"),
        (["\tat y"], None),
    ],
)
def test_the_line_that_says_most_is_told(lines: list[str], expected: str | None) -> None:
    assert telling(lines) == expected


def test_trouble_inside_the_data_directory_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataDirError, match="No space left"), claimed(tmp_path) as data_dir:
        raise OSError(28, "No space left on device", str(data_dir.logs / "x.log"))
    with pytest.raises(OSError, match="elsewhere"), claimed(tmp_path) as data_dir:
        raise OSError(28, "No space left on device", "/elsewhere")
    assert not DataDir(tmp_path).ready.exists()
