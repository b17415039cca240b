"""A process that may not have the file descriptors it wants."""

import sys

__all__ = ["limited"]

# Becomes the rest of its arguments with this limit of descriptors, and without the right to raise it that root has.
_LIMITED = """
import ctypes, os, resource, sys
PR_CAPBSET_DROP = CAP_SYS_RESOURCE = 24
ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
os.execv(sys.argv[3], sys.argv[3:])
"""


def limited(soft: int, hard: int) -> list[str]:
    """What stands before a command that is to have these limits."""
    return [sys.executable, "-c", _LIMITED, str(soft), str(hard)]
