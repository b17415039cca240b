"""What the drills take for the end of a process is its end."""

import subprocess
import sys

from harness.processes import is_gone
from harness.waiting import wait_until

LEADERLESS = """
import ctypes, threading
def tell():
    print("on", flush=True)
    threading.Event().wait()
threading.Thread(target=tell).start()
ctypes.CDLL(None).pthread_exit(None)
"""
"""Its first thread ends; another one lives, and with it everything that is open."""


def first_thread_has_ended(pid: int) -> bool:
    with open(f"/proc/{pid}/status") as status:
        return "State:\tZ" in status.read()


def test_process_with_a_living_thread_is_not_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: first_thread_has_ended(process.pid), what="the end of the first thread")
        assert not is_gone(process.pid)
        process.kill()
        wait_until(lambda: is_gone(process.pid), what="the end of the process")
    assert is_gone(process.pid)
