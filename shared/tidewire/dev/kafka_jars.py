"""The jars of Apache Kafka: resolved once with Maven, kept in the user's cache."""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from ..errors import TidewireError
from .errors import DevError, MissingProgramError
from .processes import ChildSpec, never, start_child

__all__ = ["KAFKA_VERSION", "cache_dir", "kafka_jars", "program"]

KAFKA_VERSION: Final = "4.4.0"
POM: Final = Path(__file__).with_name("kafka-pom.xml")
RESOLVE_TIMEOUT: Final = 300.0
LOCK_INTERVAL: Final = 0.1
CURE: Final = "is Maven's repository reachable? or use the embedded broker (--broker embedded)"


def cache_dir() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "tidewire"


def program(name: str, cure: str) -> str:
    """The path of a program of the machine, or `MissingProgramError` whose message ends with ``cure``."""
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(f"`{name}` is not on this machine: {cure}")
    return found


def kafka_jars(*, stopped: Callable[[], bool] = never) -> Path:
    """The folder of jars; one process at a time resolves them, and only when they are not there."""
    jars = cache_dir() / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    maven = program("mvn", "install Maven, which fetches Apache Kafka, or use --broker embedded")
    try:
        jars.parent.mkdir(parents=True, exist_ok=True)
        with (jars.parent / "kafka.lock").open("w") as lock, _locked(lock, stopped):
            if not jars.is_dir():  # another process may have made it while we waited
                _resolve(maven, jars, stopped)
    except OSError as error:
        raise DevError(
            f"cannot write {jars.parent} ({error.strerror}): make it writable or set XDG_CACHE_HOME"
        ) from error
    return jars


@contextmanager
def _locked(lock: IO[str], stopped: Callable[[], bool]) -> Iterator[None]:
    deadline = time.monotonic() + RESOLVE_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if stopped() or time.monotonic() > deadline:
                raise DevError(
                    f"another process holds {lock.name} for too long: end it and start again"
                ) from error
            time.sleep(LOCK_INTERVAL)
    yield  # closing the file lets go of the lock


def _resolve(maven: str, jars: Path, stopped: Callable[[], bool]) -> None:
    work = Path(tempfile.mkdtemp(prefix="kafka-", dir=jars.parent))
    log = jars.parent / "maven.log"
    command = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={work / 'jars'}", "-DincludeScope=runtime"]
    try:
        child = start_child(ChildSpec("Maven (fetching Apache Kafka)", command, log, cure=CURE))
        child.wait_for_end(timeout=RESOLVE_TIMEOUT, stopped=stopped)
        (work / "jars").replace(jars)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    """Fetch the jars ahead of the first use."""
    try:
        kafka_jars()
    except TidewireError as error:
        sys.stderr.write(f"tidewire: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
