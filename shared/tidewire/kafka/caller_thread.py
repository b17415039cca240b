"""One thread that makes blocking calls for an event loop, one after another."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["CallerThread"]

T = TypeVar("T")


class CallerThread:
    """Begins with its first call and ends with `stop`, or with the process, which need not wait for it.

    An executor of one thread does the same, but its futures make a call twice as dear: it is the greater part
    of what a record costs where only some come in a second.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What ``function`` returns or raises; cancelling the wait does not stop the call, begun or not."""
        assert not self._is_stopped, "nobody would make this call"
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._calls.put(partial(_answer, loop, answer, partial(function, *arguments)))
        return await answer

    def stop(self) -> None:
        """Make the calls that are asked for already, and no more."""
        self._is_stopped = True
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _answer(
    loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", function: Callable[[], T]
) -> None:
    setter: Callable[[], None]
    try:
        setter = partial(answer.set_result, function())
    except Exception as error:  # noqa: BLE001 - handed to whoever awaits
        setter = partial(answer.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_hand_over, answer, setter)


def _hand_over(answer: "asyncio.Future[Any]", setter: Callable[[], None]) -> None:
    if not answer.done():  # the wait was cancelled
        setter()
