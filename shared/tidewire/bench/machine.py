"""What a figure was measured on: processor, kernel, versions, commit."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["describe_machine"]

_PACKAGES = ("tidewire", "uvicorn", "uvloop", "websockets", "fastapi", "confluent-kafka", "orjson")
_ASK_TIMEOUT = 5.0


def describe_machine(packages: Iterable[str] = _PACKAGES) -> dict[str, Any]:
    """Name → value, ready for JSON; a package that is not installed is left out."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": _commit(),
        **_versions(packages),
    }


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _commit() -> str:
    """The checkout's commit, with a ``+`` where files differ from it; empty outside one."""
    here = Path(__file__).parent
    commit = _git(here, "rev-parse", "--short", "HEAD")
    is_changed = commit and _git(here, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if is_changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603 - fixed words
            ["git", *arguments],  # noqa: S607 - whichever git the machine has
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ASK_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
