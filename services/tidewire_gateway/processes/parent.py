"""A process that cannot outlive the one that started it (Linux)."""

import ctypes
import os
import signal
from typing import Final

from tidewire.config.errors import ConfigError

__all__ = ["die_with"]

PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Be killed when the thread that started us ends, which is the main one of process ``parent``.

    Raises ``ConfigError`` where it has ended already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the request above was in force
        raise ConfigError(f"process {parent}, to which this node belongs, has ended")
