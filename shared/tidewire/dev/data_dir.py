"""The data directory of a run: where things stand in it, and that only one run uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from .errors import DataDirError

__all__ = ["DataDir", "claimed"]

CURE: Final = "choose another with --data-dir, or remove it to start afresh"
IGNORE_ALL: Final = "*\n"


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths below the data directory."""

    root: Path

    @property
    def shown(self) -> Path:
        """For people: short where they stand beside it."""
        here = Path.cwd()
        return self.root.relative_to(here) if self.root.is_relative_to(here) else self.root

    def holds(self, filename: object) -> bool:
        return isinstance(filename, str | Path) and Path(filename).is_relative_to(self.root)

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def token_key(self) -> Path:
        return self.root / "token.key"

    @property
    def streams(self) -> Path:
        """The streams file that every part of the run reads."""
        return self.root / "streams.yaml"

    @property
    def ready(self) -> Path:
        """The addresses of the run, while it runs."""
        return self.root / "ready.json"

    @property
    def epoch(self) -> Path:
        """Beside the embedded broker's data, so that both go together."""
        return self.root / "embedded" / "epoch"


@contextmanager
def claimed(root: Path) -> Iterator[DataDir]:
    """Make the directory where it is missing and hold it until exit.

    Raises `DataDirError` when it cannot be written or when another run holds it. The kernel lets go of
    the lock of a run that was killed.
    """
    data_dir = DataDir(root.absolute())
    try:
        data_dir.logs.mkdir(parents=True, exist_ok=True)
        ignore = data_dir.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text(IGNORE_ALL)
        lock = data_dir.lock.open("a+")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with lock:
        _hold(lock, data_dir)
        try:
            yield data_dir
        except OSError as error:  # a part of it that became unusable, such as a full disk
            if data_dir.holds(error.filename):
                raise _unusable(data_dir, error) from error
            raise
        finally:
            data_dir.ready.unlink(missing_ok=True)


def _unusable(data_dir: DataDir, error: OSError) -> DataDirError:
    return DataDirError(
        f"the data directory {data_dir.root} cannot be used ({error.strerror}: "
        f"{error.filename}): {CURE}"
    )


def _hold(lock: IO[str], data_dir: DataDir) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read(32).strip()
        raise DataDirError(
            f"another tidewire dev (process {holder}) runs in {data_dir.root}: "
            "end it, or start this one with another --data-dir"
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
