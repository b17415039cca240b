"""Lines that a child process says, waited for up to a deadline."""

import os
import select
import time

__all__ = ["LineReader"]

_CHUNK = 1 << 16


class LineReader:
    """Reads a pipe by its descriptor; nobody else may."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._readable = select.poll()
        self._readable.register(descriptor, select.POLLIN)

    def line(self, deadline: float) -> bytes:
        """The next line, without its end; ``deadline`` is of the monotonic clock.

        Raises ``TimeoutError`` where none is whole by then, ``EOFError`` where none will be.
        """
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            if not self._readable.poll(left * 1000):
                raise TimeoutError
            more = os.read(self._descriptor, _CHUNK)
            if not more:
                raise EOFError
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line
