"""Children of a measurement: pinned to a core, told what to do by lines, ended with it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidewire.bench.errors import BenchError
from tidewire.bench.lines import LineReader

__all__ = ["SERVER_CORE", "SOURCE_CORE", "Talker", "pinned", "start_talker"]

SERVER_CORE = 0
"""What is measured runs here, and nothing else."""
SOURCE_CORE = 1
"""Broker, publisher and load client."""
_END_TIMEOUT = 10.0


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command, kept to one core where the machine has it and can do so."""
    taskset = shutil.which("taskset")
    if core is None or taskset is None or core not in os.sched_getaffinity(0):
        return list(command)
    return [taskset, "--cpu-list", str(core), *command]


class Talker:
    """A child that takes a command a line and answers a JSON line."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        assert process.stdout is not None
        self._lines = LineReader(process.stdout.fileno())

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"{self.name} has ended: {self._process.poll()}") from None

    def hear(self, timeout: float) -> dict[str, Any]:
        """The next JSON line; raises ``BenchError`` when none comes in time."""
        try:
            line = self._lines.line(time.monotonic() + timeout)
        except TimeoutError:
            raise BenchError(f"{self.name} did not answer within {timeout:g} s") from None
        except EOFError:
            ended = f"{self.name} has ended: {self._process.wait(_END_TIMEOUT)}"
            raise BenchError(ended) from None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: str, timeout: float) -> dict[str, Any]:
        self.tell(line)
        return self.hear(timeout)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_TIMEOUT)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def start_talker(
    name: str,
    command: Sequence[str],
    *,
    core: int | None,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[Talker]:
    with contextlib.ExitStack() as stack:
        stderr = sys.stderr if log is None else stack.enter_context(log.open("ab"))
        process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            pinned(command, core),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
        talker = Talker(name, process)
        stack.callback(talker.stop)
        yield talker
