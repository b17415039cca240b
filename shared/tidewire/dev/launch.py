"""Start a command that cannot outlive the process that asked for it.

``python launch.py [--watch] [--signal N] PARENT_PID -- COMMAND…``

On Linux the kernel sends signal N (default SIGKILL) to the command when the *thread* that started this
launcher ends, so start children from the main thread. Elsewhere, or with ``--watch``, the launcher
stays, watches its parent and ends the command itself. Uses the standard library only: it runs before
anything else and must start fast.
"""

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Final

__all__ = ["main"]

PR_SET_PDEATHSIG: Final = 1
WATCH_INTERVAL: Final = 0.2
WATCH_GRACE: Final = 5.0
NOT_STARTED: Final = 127
ORPHANED: Final = 125


def main(argv: list[str] | None = None) -> int:
    """Become the command; returns only when it cannot start or when watching it ended."""
    parser = argparse.ArgumentParser(prog="tidewire.dev.launch", add_help=False)
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("parent", type=int)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(argv)
    if options.watch or not sys.platform.startswith("linux"):
        return _watch(options.parent, options.command, options.signal)
    _die_with_parent(options.signal)
    if os.getppid() != options.parent:  # it died before the request above was in force
        return ORPHANED
    try:
        os.execvp(options.command[0], options.command)  # noqa: S606 - a command without a shell is the purpose
    except OSError as error:
        return _not_started(options.command[0], error)


def _die_with_parent(signal_number: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def _watch(parent: int, command: list[str], signal_number: int) -> int:
    try:
        child = subprocess.Popen(command)  # noqa: S603 - the caller's own command
    except OSError as error:
        return _not_started(command[0], error)

    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    while os.getppid() == parent:
        try:
            return _exit_code(child.wait(WATCH_INTERVAL))
        except subprocess.TimeoutExpired:
            continue
    child.send_signal(signal_number)
    try:
        child.wait(WATCH_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return ORPHANED


def _exit_code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _not_started(program: str, error: OSError) -> int:
    sys.stderr.write(f"{program}: cannot be started: {error.strerror}\n")
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
