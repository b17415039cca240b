"""What processes hold, read from the system now and then: memory, descriptors, threads, sockets."""

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from .background import Background

__all__ = ["Vital", "Vitals", "established", "sockets_at", "vital_of"]

_OWN = re.compile(r"^Anonymous:\s+(\d+) kB$", re.MULTILINE)
_ESTABLISHED = "01"


class Vital(NamedTuple):
    """``own`` is memory of no file, in bytes, resident with what is mapped; the second one is monotonic."""

    at: float
    own: int
    resident: int
    descriptors: int = 0
    threads: int = 0


def vital_of(pid: int) -> Vital:
    """Raises ``OSError`` where there is no such process."""
    process = Path(f"/proc/{pid}")
    own = _OWN.search((process / "smaps_rollup").read_text())
    assert own is not None, "this system does not tell how much memory is a process's own"
    pages = int((process / "statm").read_text().split()[1])
    return Vital(
        time.monotonic(),
        int(own[1]) * 1024,
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir(process / "fd")),
        len(os.listdir(process / "task")),
    )


def sockets_at(port: int) -> int:
    """Connections to a port of this machine that stand, as the kernel has it."""
    return established(Path("/proc/net/tcp").read_text(), port)


def established(table: str, port: int) -> int:
    """How many connections of ``/proc/net/tcp`` stand at this port, on the side that was connected to.

    The kernel may write a line twice while others come and go.
    """
    rows = [line.split() for line in table.splitlines()[1:]]
    return len(
        {
            (row[1], row[2])
            for row in rows
            if row[3] == _ESTABLISHED and int(row[1].rpartition(":")[2], 16) == port
        }
    )


class Vitals(Background):
    """Reads each process from a thread of its own, every ``interval`` seconds, until the block is left."""

    def __init__(self, processes: Mapping[str, Callable[[], Vital]], interval: float) -> None:
        super().__init__("vitals")
        self.by_process: dict[str, list[Vital]] = {name: [] for name in processes}
        self._processes = dict(processes)
        self._interval = interval

    def since(self, at: float) -> dict[str, list[Vital]]:
        """What was read from an instant on."""
        return {
            name: [vital for vital in vitals if vital.at >= at]
            for name, vitals in self.by_process.items()
        }

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            for name, read in self._processes.items():
                self.by_process[name].append(read())
