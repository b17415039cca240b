"""The wish to end a run: SIGINT, SIGTERM or SIGHUP, noticed at once and never in the middle of something."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Final, Self

__all__ = ["StopRequest"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """While entered, the signals only set ``received``; the main thread looks when it is ready to.

    A pipe rather than a lock: a handler may run while the main thread holds any lock.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() itself returned
        os.close(self._read)
        os.close(self._write)

    def __call__(self) -> bool:
        """Whether the run was asked to end."""
        return self.received is not None

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the wish to end."""
        if not self():
            select.select([self._read], [], [], timeout)
        return self()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            os.write(self._write, b"x")
