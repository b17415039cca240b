"""Start the load client, talk to it, end it."""

import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, Final, Self

import orjson

from .errors import LoadClientError, NotBuiltError, NotReadyError
from .lines import LineReader
from .load_build import built
from .load_options import Clock, LoadOptions, arguments
from .load_report import Cpu, Group, Handshakes, Largest, Latency, Report, parse_report

__all__ = [
    "Clock",
    "Cpu",
    "Group",
    "Handshakes",
    "Largest",
    "Latency",
    "LoadClient",
    "LoadClientError",
    "LoadOptions",
    "NotBuiltError",
    "NotReadyError",
    "Report",
    "built",
    "parse_report",
]

ANSWER_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 5.0
KEPT_BYTES: Final = 4096


class LoadClient:
    """The running program; a context manager. Every call blocks, up to its deadline.

    Raises `LoadClientError` with what the program wrote on stderr when it ends or is late.
    """

    def __init__(self, options: LoadOptions, *, core: int | None = None) -> None:
        """Starts it, pinned to ``core``; raises `NotBuiltError`. It ends when this process does."""
        program = built()
        self._seconds: float | None = None
        self._failures: str | None = None
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="tidewire-load-")))
            self._stderr = stack.enter_context((folder / "stderr").open("w+b", buffering=0))
            self._popen = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own program, no shell
                    [str(program), *arguments(options, folder=folder, core=core)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    bufsize=0,
                    process_group=0,  # Ctrl-C is for this process, which may still want the report
                )
            )
            self._stdin = _present(self._popen.stdin)
            self._lines = LineReader(_present(self._popen.stdout).fileno())
            self._cleanup = stack.pop_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_until_ready(self, timeout: float) -> float:
        """Seconds it took until all connections were ready (with ``churn``: as many handshakes).

        Raises `NotReadyError` as soon as all were tried and some failed.
        """
        deadline = time.monotonic() + timeout
        while self._seconds is None:
            if self._failures is not None:
                raise NotReadyError(self._failures)
            self._take_line(deadline, "ready")
        return self._seconds

    def mark(self) -> None:
        """Counters, latencies and CPU time count from here on."""
        self._ask("mark")
        self._answer("marked")

    def report(self) -> Report:
        """What was counted since the last mark, or the start."""
        self._ask("report")
        return parse_report(self._answer("report"))

    def stderr(self) -> str:
        """The end of what it wrote there: progress, and why it ended."""
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - KEPT_BYTES))
        return self._stderr.read().decode(errors="replace").strip()

    def close(self) -> None:
        """End it and its connections; may be called again."""
        self._stdin.close()
        try:
            self._popen.wait(CLOSE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, command: str) -> None:
        try:
            self._stdin.write(f"{command}\n".encode())
        except BrokenPipeError as error:
            raise self._ended() from error

    def _answer(self, wanted: str) -> bytes:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while True:
            event, line = self._take_line(deadline, wanted)
            if event == wanted:
                return line

    def _take_line(self, deadline: float, wanted: str) -> tuple[str, bytes]:
        """The next line and its kind; readiness, which nobody asks for, is remembered."""
        line = self._line(deadline, wanted)
        said: dict[str, Any] = orjson.loads(line)
        event: str = said["event"]
        if event == "ready":
            self._seconds = said["seconds"]
        elif event == "incomplete":
            self._failures = _incomplete(said)
        return event, line

    def _line(self, deadline: float, wanted: str) -> bytes:
        try:
            return self._lines.line(deadline)
        except TimeoutError:
            fault = f"the load client did not tell {wanted!r} in time{self._said()}"
            raise LoadClientError(fault) from None
        except EOFError:
            raise self._ended() from None

    def _ended(self) -> LoadClientError:
        code = self._popen.wait(CLOSE_TIMEOUT)
        return LoadClientError(f"the load client ended (exit code {code}){self._said()}")

    def _said(self) -> str:
        said = self.stderr()
        return f": {said}" if said else ""


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _incomplete(said: Mapping[str, Any]) -> str:
    how = [
        f"{count} {kind} {name}"
        for kind in ("refused", "closes", "errors")
        for name, count in said[kind].items()
    ]
    return f"{said['ready']} of {said['connections']} connections became ready: {', '.join(how)}"
