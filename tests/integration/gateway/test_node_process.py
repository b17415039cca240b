"""What becomes of a node's process that fails, says nothing or does not end; small scripts stand in for it."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.processes import is_gone
from harness.waiting import eventually
from tidewire_gateway.processes import node_process
from tidewire_gateway.processes.errors import UnusableNodeError
from tidewire_gateway.processes.node_process import NodeProcess
from tidewire_gateway.processes.plan import NodePlan

PLAN = NodePlan("gate-1", 8080, 0)
# Counts its starts in a file; STARTS[n] is what it does at start n, the last one from there on.
SCRIPT = """
import os, pathlib, signal, sys, time
seen = pathlib.Path(sys.argv[1])
n = len(seen.read_text()) if seen.exists() else 0
seen.write_text("x" * (n + 1))
def ready():
    port = os.environ["TIDEWIRE_GATEWAY__INTERNAL_PORT"].replace("0", "7", 1)
    print("{}", flush=True)
    print('{"event":"ready","internal":"http://h:%s","pid":%d}' % (port, os.getpid()), flush=True)
def stay(): time.sleep(600)
steps = sys.argv[2:]
exec(steps[min(n, len(steps) - 1)])
"""


class Watched:
    """A node's process that runs, and how often it was ready."""

    def __init__(self, folder: Path, steps: tuple[str, ...]) -> None:
        self.seen = folder / "starts"
        self.readies = 0
        command = [sys.executable, "-S", "-E", "-c", SCRIPT, str(self.seen), *steps]
        self.node = NodeProcess(PLAN, command, self._is_ready)
        self.task = asyncio.create_task(self.node.run())

    def _is_ready(self) -> None:
        self.readies += 1

    @property
    def starts(self) -> int:
        return len(self.seen.read_text()) if self.seen.exists() else 0

    async def until_ready(self, times: int = 1) -> int:
        """Its process id."""
        await eventually(lambda: self.readies >= times or self.task.done(), what="ready")
        assert self.node.ready is not None
        assert self.node.ready["node"] == "gate-1"
        return int(self.node.ready["pid"])

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self.task


@contextlib.asynccontextmanager
async def watched(folder: Path, *steps: str) -> AsyncIterator[Watched]:
    one = Watched(folder, steps)
    try:
        yield one
    finally:
        one.task.cancel()
        await asyncio.wait([one.task])


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_process, "longest_pause", lambda ends: 0.01 * ends)


async def test_node_that_fails_at_its_first_start_is_tried_again(tmp_path: Path) -> None:
    async with watched(tmp_path, "sys.exit(1)", "sys.exit(3)", "ready(); stay()") as one:
        pid = await one.until_ready()
        assert one.starts == 3
        one.node.end(signal.SIGTERM)
        await one.ended()
        assert is_gone(pid)
        assert one.node.ready is None


async def test_node_that_cannot_run_as_configured_is_not_tried_again(tmp_path: Path) -> None:
    async with watched(tmp_path, "sys.exit(2)") as one:
        with pytest.raises(UnusableNodeError, match="gate-1"):
            await one.ended()
        assert one.starts == 1


async def test_node_that_served_once_is_tried_again_whatever_it_ends_of(tmp_path: Path) -> None:
    steps = ("ready()", "sys.exit(2)", "ready(); stay()")
    async with watched(tmp_path, *steps) as one:
        await one.until_ready(2)
        assert one.starts == 3


async def test_node_keeps_the_internal_port_it_had_until_a_start_fails(tmp_path: Path) -> None:
    steps: tuple[str, ...] = (
        "ready()",
        "ready() if os.environ['TIDEWIRE_GATEWAY__INTERNAL_PORT'] == '7' else 0",
    )
    steps += ("sys.exit(2)", "ready(); stay()")
    async with watched(tmp_path, *steps) as one:
        await one.until_ready(3)
        assert one.starts == 4


async def test_node_that_is_never_ready_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, "START_TIMEOUT", 0.5)
    async with watched(tmp_path, "stay()", "ready(); stay()") as one:
        await one.until_ready()


async def test_harder_signal_ends_a_node_that_ignores_the_first(tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); stay()"
    async with watched(tmp_path, deaf) as one:
        await one.until_ready()
        one.node.end(signal.SIGTERM)
        one.node.end(signal.SIGKILL)
        await one.ended()


async def test_node_that_is_starting_is_killed_by_any_signal(tmp_path: Path) -> None:
    async with watched(tmp_path, "stay()") as one:
        await eventually(lambda: one.starts == 1, what="the start")
        one.node.end(signal.SIGTERM)
        await one.ended()


async def test_told_to_end_before_it_starts_it_does_not(tmp_path: Path) -> None:
    async with watched(tmp_path, "stay()") as one:
        one.node.end(signal.SIGTERM)
        await one.ended()
        assert one.starts == 0


async def test_program_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, pauses = [str(tmp_path / "missing")], []

    def install_it(ends: int) -> float:
        pauses.append(ends)
        told = '{"event":"ready","internal":"http://h:7","pid":1}'
        command[:] = [sys.executable, "-S", "-E", "-c", f"print({told!r})"]
        return 0.0

    monkeypatch.setattr(node_process, "longest_pause", install_it)
    ready = asyncio.Event()
    node = NodeProcess(PLAN, command, ready.set)
    task = asyncio.create_task(node.run())
    await asyncio.wait_for(ready.wait(), 10)
    assert pauses[0] == 1
    node.end(signal.SIGTERM)
    await asyncio.wait_for(task, 10)


async def test_cancelled_it_leaves_no_process(tmp_path: Path) -> None:
    async with watched(tmp_path, "ready(); stay()") as one:
        pid = await one.until_ready()
    assert is_gone(pid)
