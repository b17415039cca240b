"""The broker under the readers, its traffic, and measurements in processes of their own."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tidewire.dev import apache
from tidewire.dev.broker_start import RunningBroker
from tidewire.dev.brokers import apache_kafka

__all__ = ["CLIENT_CORES", "PRIORITY", "broker", "folder", "measured", "paced_traffic", "start"]

CLIENT_CORES = [1]
_BROKER_CORES = [0]
PRIORITY = -15
"""Of what keeps to a schedule, where the system allows it: others may use the machine."""
_JAVA_OPTIONS = ("-Xmx1g", "-XX:+UseG1GC")
"""A broker as it runs elsewhere: with both compilers, unlike that of the tests."""
_PATIENCE = 180.0


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidewire-bench-") as path:
        yield Path(path)


@contextmanager
def broker(data_dir: Path, port: int) -> Iterator[RunningBroker]:
    with (
        mock.patch.object(apache, "JAVA_OPTIONS", _JAVA_OPTIONS),
        apache_kafka(data_dir, port=port) as running,
    ):
        for thread in Path(f"/proc/{running.pid}/task").iterdir():  # each has its own in Linux
            os.sched_setaffinity(int(thread.name), _BROKER_CORES)
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), PRIORITY)
        yield running


@contextmanager
def paced_traffic(given: Mapping[str, Any]) -> Iterator[None]:
    child = start("pace", {**given, "cores": _BROKER_CORES, "priority": PRIORITY})
    try:
        time.sleep(1.0)
        yield
    finally:
        child.kill()
        child.wait()


def start(
    what: str, given: Mapping[str, Any], *, stderr: int | None = None
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.readers.child", what, json.dumps(given)]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdout=subprocess.PIPE, stderr=stderr, text=True
    )


def measured(child: "subprocess.Popen[str]") -> dict[str, Any]:
    """The figures of one measurement; `RuntimeError` where it failed."""
    output, _ = child.communicate(timeout=_PATIENCE)
    if child.returncode:
        raise RuntimeError(f"a measurement ended with {child.returncode}")
    figures: dict[str, Any] = json.loads(output)
    return figures
