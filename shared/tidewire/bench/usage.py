"""What another process has used: processor time and memory, as Linux tells."""

import os
from pathlib import Path
from typing import NamedTuple

from .errors import BenchError

__all__ = ["Cpu", "cpu_of", "resident_bytes"]


class Cpu(NamedTuple):
    """Processor seconds of all threads that live; ``user`` and ``system`` are sampled, ``total`` is exact."""

    total: float
    user: float
    system: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))


def cpu_of(pid: int) -> Cpu:
    """Raises ``BenchError`` where there is no such process, or no Linux."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        nanoseconds = sum(map(_nanoseconds, list(Path(f"/proc/{pid}/task").iterdir())))
    except OSError as error:
        raise BenchError(f"process {pid} cannot be measured: {error.strerror}") from None
    tick = os.sysconf("SC_CLK_TCK")
    return Cpu(nanoseconds / 1e9, int(fields[11]) / tick, int(fields[12]) / tick)


def _nanoseconds(thread: Path) -> int:
    """Of one thread; 0 where it has ended since it was listed."""
    try:
        return int((thread / "schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM, without what its sockets hold in the kernel."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError as error:
        raise BenchError(f"process {pid} cannot be measured: {error.strerror}") from None
    return pages * os.sysconf("SC_PAGE_SIZE")
