"""Questions about processes."""

import os
from pathlib import Path

__all__ = ["is_gone", "processes_naming"]


def is_gone(pid: int) -> bool:
    """Whether a process ended; one that only waits to be reaped has.

    What it held open is closed then: the last of its threads closes it, and the first may end before.
    """
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z" and threads == 1


def processes_naming(marker: str) -> list[int]:
    """Processes whose command line or environment names ``marker``, such as a data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text and not is_gone(int(entry.name)):
            found.append(int(entry.name))
    return found
