"""Run `tidewire dev --json` as people do: its own process, everything real below it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.heard import HEARD
from harness.processes import processes_naming
from harness.waiting import wait_until

__all__ = ["DevRun", "dev_command", "running_dev", "start_dev"]

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


@dataclass(frozen=True)
class DevRun:
    """A run under test. ``ready`` is its ready line."""

    process: "subprocess.Popen[str]"
    data_dir: Path
    errors: Path
    ready: Mapping[str, Any]

    def processes(self) -> list[int]:
        """Every process below it that still runs, found by the data directory in its environment."""
        return [pid for pid in processes_naming(str(self.data_dir)) if pid != self.process.pid]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT)

    def said(self) -> str:
        """What it wrote on stderr."""
        return self.errors.read_text()


def dev_command(data_dir: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "tidewire.cli", "dev", "--data-dir", str(data_dir), *options]


def start_dev(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> DevRun:
    """Start a run and wait for its ready line; `AssertionError` with its stderr where there is none."""
    errors = data_dir.with_name(f"{data_dir.name}.stderr")
    output = data_dir.with_name(f"{data_dir.name}.stdout")
    with errors.open("w") as stderr, output.open("w") as stdout:
        process = subprocess.Popen(
            dev_command(data_dir, "--json", *options),
            stdout=stdout,
            stderr=stderr,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    HEARD.hear_folder(data_dir / "logs", process.pid)

    def first_line() -> str | None:
        text = output.read_text()
        assert "\n" in text or process.poll() is None, f"it ended: {errors.read_text()}"
        return text.partition("\n")[0] if "\n" in text else None

    try:
        line = wait_until(first_line, within=START_TIMEOUT, what="the ready line")
        return DevRun(process, data_dir, errors, json.loads(line))
    except BaseException:
        process.kill()
        process.wait(STOP_TIMEOUT)
        raise


@contextmanager
def running_dev(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[DevRun]:
    """A run for the length of a block; ended, by force if need be, after it."""
    run = start_dev(data_dir, *options, environment=environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.terminate()
        try:
            run.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            run.process.kill()  # what is below it dies with it
            run.process.wait(STOP_TIMEOUT)
