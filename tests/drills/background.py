"""What goes on beside a drill, in a thread of its own."""

import threading
from types import TracebackType
from typing import Self

__all__ = ["Background"]


class Background:
    """``_run`` goes on from the beginning of the block until it is left; it looks at ``_stopped``."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Returns once the thread has come to its end; again, at once."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError
