"""Hears whatever is logged while tests run, in the tests' own process and in those they start, and looks for leaks.

It hears log records of this process, what a process writes on stderr (to a file, to a pipe that ``communicate`` reads, or to
the stderr it shares with us), and its stdout where that goes the same way; and folders where others keep logs.
"""

import asyncio.subprocess
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from .leaks import Leak, leaks_in
from .processes import is_gone

__all__ = ["HEARD", "Heard"]

_TESTS = "the process of the tests"
_CLIENTS = ("httpx", "httpcore")
"""Those of the tests tell what they ask for, tokens in addresses included; services have them quiet."""
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@dataclass(slots=True)
class _Log:
    """A file as far as it was read: bytes, and lines."""

    source: str
    path: Path
    position: int = 0
    lines: int = 0

    def read(self, *, whole: bool) -> list[Leak]:
        """Of the lines that were added; one without an end waits for it, unless the ``whole`` rest is wanted."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                added = file.read()
        except OSError:
            return []
        if not whole:
            added = added[: added.rfind(b"\n") + 1]
        lines = added.decode(errors="replace").split("\n")[: None if whole else -1]
        leaks = leaks_in(self.source, lines, first=self.lines + 1)
        self.position += len(added)
        self.lines += len(lines)
        return leaks


@dataclass(slots=True)
class _Folder:
    """The ``*.log`` in it, each as far as it was read."""

    path: Path
    logs: dict[Path, _Log] = field(default_factory=dict)

    def read(self, *, whole: bool) -> list[Leak]:
        logs = [
            self.logs.setdefault(path, _Log(str(path), path)) for path in self.path.glob("*.log")
        ]
        return [leak for log in logs for leak in log.read(whole=whole)]


class Heard(logging.Handler):
    """`begin` once, `end` at last; `take_leaks` hands over what was found since it was asked last."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self._leaks: list[Leak] = []
        self._written: list[tuple[int, _Log | _Folder]] = []  # by the process with this id
        self._restore: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Hear this process at the level that services have by default, and every process that it starts."""
        root = logging.getLogger()
        root.setLevel(min(root.level, logging.INFO))
        root.addHandler(self)
        self._restore.append(lambda: root.removeHandler(self))
        for name in _CLIENTS:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._wrap(subprocess.Popen, "__init__", self._hearing_start)
        self._wrap(subprocess.Popen, "communicate", self._hearing_pipes)
        self._wrap(asyncio.subprocess.Process, "communicate", self._hearing_pipes_of_loops)

    def end(self) -> None:
        while self._restore:
            self._restore.pop()()

    def hear_folder(self, folder: Path, pid: int) -> None:
        """Every ``*.log`` in it, until the process ends that has them written."""
        self._written.append((pid, _Folder(folder)))

    def hear_text(self, source: str, text: str) -> None:
        self._leaks += leaks_in(source, text.splitlines())

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage() + _fields_of(record)
        error = record.exc_info or (isinstance(record.msg, dict) and record.msg.get("exc_info"))
        if error:
            text += "\n" + "".join(traceback.format_exception(*_told(error)))
        self.hear_text(f"{_TESTS}, logger {record.name}", text)

    def take_leaks(self) -> list[Leak]:
        """Of processes that go on, as far as they have written whole lines."""
        going_on = []
        for pid, written in self._written:
            has_ended = is_gone(pid)
            self._leaks += written.read(whole=has_ended)
            going_on += [] if has_ended else [(pid, written)]
        self._written = going_on
        found, self._leaks = self._leaks, []
        return found

    def _wrap(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        setattr(owner, name, wraps(original)(make(original)))
        self._restore.append(lambda: setattr(owner, name, original))

    def _hearing_start(self, start: Callable[..., None]) -> Callable[..., None]:
        def started(
            process: "subprocess.Popen[Any]", args: Any, *more: Any, **options: Any
        ) -> None:
            log = _log_of(args, options)
            start(process, args, *more, **options)
            if log is not None:
                self._written.append((process.pid, log))

        return started

    def _hearing_pipes(self, communicate: Callable[..., Any]) -> Callable[..., Any]:
        def communicated(process: "subprocess.Popen[Any]", *given: Any, **options: Any) -> Any:
            answer = communicate(process, *given, **options)
            self._hear_stderr(_name_of(process.args), answer[1])
            return answer

        return communicated

    def _hearing_pipes_of_loops(self, communicate: Callable[..., Any]) -> Callable[..., Any]:
        async def communicated(process: asyncio.subprocess.Process, *given: Any) -> Any:
            answer = await communicate(process, *given)
            self._hear_stderr(f"process {process.pid}", answer[1])
            return answer

        return communicated

    def _hear_stderr(self, source: str, said: str | bytes | None) -> None:
        if said:
            self.hear_text(source, said if isinstance(said, str) else said.decode(errors="replace"))


def _fields_of(record: logging.LogRecord) -> str:
    """What was put to it beside its text, a line each."""
    return "".join(
        f"\n{name}={field!r}"
        for name, field in vars(record).items()
        if name not in _OF_EVERY_RECORD
    )


def _told(error: Any) -> tuple[Any, Any, Any]:
    """Of `exc_info` in any of its three forms."""
    if isinstance(error, tuple):
        return error
    if isinstance(error, BaseException):
        return type(error), error, error.__traceback__
    return sys.exc_info()


def _log_of(args: Any, options: dict[str, Any]) -> _Log | None:
    """Where a process writes its log, if that is a file, with what is in it already left out."""
    target = options.get("stderr")
    if target == subprocess.STDOUT:
        target = options.get("stdout")
    if target is None:
        return None
    number = target if isinstance(target, int) else target.fileno()
    if number < 0:  # PIPE, DEVNULL
        return None
    path = Path(os.readlink(f"/proc/self/fd/{number}"))
    if not path.is_file():
        return None
    before = path.read_bytes()
    return _Log(f"{_name_of(args)} ({path})", path, len(before), before.count(b"\n"))


def _name_of(args: Any) -> str:
    """The module that Python runs, or the program."""
    words = [args] if isinstance(args, str | bytes | os.PathLike) else list(_own(args))
    texts = [os.fsdecode(word) for word in words]
    if "-m" in texts[:-1]:
        return texts[texts.index("-m") + 1]
    return Path(texts[0]).name


def _own(args: Iterable[Any]) -> Iterable[Any]:
    """Without the launcher that `tidewire dev` puts before a command."""
    words = list(args)
    return words[words.index("--") + 1 :] if "--" in words[:-1] else words


HEARD = Heard()
"""Of the whole run; `tests/conftest.py` begins and ends it."""
