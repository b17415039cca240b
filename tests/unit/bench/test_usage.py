"""What a process has used, read while it goes on living."""

import os
import sys
import threading

import pytest

from tidewire.bench.usage import cpu_of


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it like this")
def test_threads_that_end_while_they_are_counted_are_no_error() -> None:
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            threads = [threading.Thread(target=int) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    busy = threading.Thread(target=come_and_go)
    busy.start()
    try:
        before = cpu_of(os.getpid())
        for _ in range(1000):
            used = cpu_of(os.getpid())
    finally:
        is_over.set()
        busy.join()
    assert used.total > 0
    assert used.user >= before.user
