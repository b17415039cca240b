"""What starting a broker of any kind has in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from .errors import ChildFailedError, DataDirError
from .processes import Child

__all__ = [
    "RunningBroker",
    "RunningRedis",
    "first_that_starts",
    "folder",
    "running",
    "wait_until_up",
]

START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 5.0
PORT_ATTEMPTS: Final = 3


class HasChild(Protocol):
    @property
    def child(self) -> Child: ...


Started = TypeVar("Started", bound=HasChild)


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that answers. ``redis_url`` is None where it brings no Redis along."""

    bootstrap: str
    redis_url: str | None
    pid: int
    child: Child


@dataclass(frozen=True, slots=True)
class RunningRedis:
    url: str
    child: Child


def folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirError(
            f"cannot make {path} ({error.strerror}): choose another --data-dir"
        ) from error
    return path


def wait_until_up(child: Child, answers: Callable[[], bool], stopped: Callable[[], bool]) -> None:
    """Wait for an answer; a child that gives none is ended."""
    try:
        child.wait_until_ready(
            lambda: True if answers() else None, timeout=START_TIMEOUT, stopped=stopped
        )
    except BaseException:
        child.stop(STOP_TIMEOUT)
        raise


def first_that_starts(start: Callable[[], Started], *, fixed_port: bool = False) -> Started:
    """Start again with other ports, since a free port may be taken before the child has it."""
    for _ in range(0 if fixed_port else PORT_ATTEMPTS - 1):
        try:
            return start()
        except ChildFailedError as error:
            if not any("in use" in line for line in error.last_lines):
                raise
    return start()


@contextmanager
def running(start: Callable[[], Started], *, fixed_port: bool = False) -> Iterator[Started]:
    """What ``start`` brings up, until the block is left."""
    started = first_that_starts(start, fixed_port=fixed_port)
    try:
        yield started
    finally:
        started.child.stop(STOP_TIMEOUT)
