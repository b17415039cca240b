"""Children: start, wait until they answer, stop; their output goes to a log file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from .errors import ChildFailedError, DataDirError, StoppedError

__all__ = ["Child", "ChildSpec", "never", "start_child", "stop_children", "telling"]

POLL_INTERVAL: Final = 0.02
KEPT_LINES: Final = 12
KEPT_BYTES: Final = 16_384
KILL_TIMEOUT: Final = 2.0
ONE_THING_GRACE: Final = 1.0
LOG_LIMIT: Final = 8 * 1024 * 1024
LAUNCHER: Final = Path(__file__).with_name("launch.py")

T = TypeVar("T")


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child, and the cure that is told when it fails.

    ``environment`` is added to ours. ``ends_by`` is what asks it to end, ``dies_by`` what it gets when we die.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    cure: str = ""
    ends_by: signal.Signals = signal.SIGTERM
    dies_by: signal.Signals = signal.SIGKILL


class Child:
    """A started process, the leader of its own session: a terminal's Ctrl-C reaches only us."""

    def __init__(self, spec: ChildSpec, popen: "subprocess.Popen[bytes]", log_start: int) -> None:
        self.spec = spec
        self._popen = popen
        self._log_start = log_start

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def output(self) -> str:
        """What it wrote since this start."""
        with self.spec.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read(LOG_LIMIT).decode(errors="replace")

    def last_lines(self) -> tuple[str, ...]:
        with self.spec.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - KEPT_BYTES))
            text = log.read().decode(errors="replace")
        return tuple(line for line in text.splitlines() if line.strip())[-KEPT_LINES:]

    def failure(self, what: str) -> ChildFailedError:
        """The error that says what happened to it, what it said last, and the cure."""
        lines = self.last_lines()
        said = telling(lines)
        parts = [f"{self.name} {what}" + (f": {said}" if said else "")]
        parts += [self.spec.cure] if self.spec.cure else []
        parts += [f"its log is {self.spec.log}"]
        return ChildFailedError("; ".join(parts), part=self.name, last_lines=lines)

    def wait_until_ready(
        self, check: Callable[[], T | None], *, timeout: float, stopped: Callable[[], bool] = never
    ) -> T:
        """Return the first answer of ``check`` that is not None.

        Raises `ChildFailedError` when the child ends or ``timeout`` seconds pass first,
        `StoppedError` when ``stopped`` turns true.
        """
        deadline = time.monotonic() + timeout
        while True:
            code = self.exit_code()  # before the check: what it did last may be the answer
            answer = check()
            if answer is not None:
                return answer
            if code is not None:
                raise self.failure(f"failed ({_how(code)})")
            if stopped():
                raise StoppedError(f"stopped while {self.name} was starting")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {timeout:g} s")
            time.sleep(POLL_INTERVAL)

    def wait_for_end(self, *, timeout: float, stopped: Callable[[], bool] = never) -> None:
        """Wait for a child that does one thing; raises like `wait_until_ready` unless it did it."""
        try:
            self.wait_until_ready(
                lambda: True if self.exit_code() == 0 else None, timeout=timeout, stopped=stopped
            )
        finally:
            self.stop(ONE_THING_GRACE)

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if self.exit_code() is None:
            self._popen.send_signal(self.spec.ends_by)

    def stop(self, timeout: float) -> None:
        """Ask it to end; kill its whole session after ``timeout`` seconds."""
        self.terminate()
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(KILL_TIMEOUT)

    def describe_end(self) -> str:
        code = self.exit_code()
        return "still runs" if code is None else _how(code)


def start_child(spec: ChildSpec) -> Child:
    """Start a child that cannot outlive us. Call from the main thread (`launch` says why)."""
    try:
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        if spec.log.exists() and spec.log.stat().st_size > LOG_LIMIT:
            spec.log.replace(spec.log.with_suffix(".old.log"))
        log = spec.log.open("ab")
    except OSError as error:
        raise DataDirError(
            f"cannot write the log {spec.log} ({error.strerror}): choose another --data-dir"
        ) from error
    launcher = [sys.executable, "-S", "-E", str(LAUNCHER), "--signal", str(int(spec.dies_by))]
    with log:
        start = log.tell()
        popen = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            [*launcher, str(os.getpid()), "--", *spec.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **spec.environment},
            start_new_session=True,
        )
    return Child(spec, popen, start)


def stop_children(children: Sequence[Child], timeout: float) -> None:
    """Ask all to end at once; kill those that are left after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    for child in children:
        child.terminate()
    for child in children:
        child.stop(max(0.0, deadline - time.monotonic()))


def telling(lines: Sequence[str]) -> str | None:
    """The line that says most about an end: the first that calls itself an error, else the last one.

    Indented lines are the inside of a trace.
    """
    errors = [line for line in lines if line.startswith(("error: ", "[ERROR] "))]
    others = [line for line in reversed(lines) if not line[0].isspace()]
    return next(iter(errors + others), None)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"
