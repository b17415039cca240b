"""Call something that blocks without the process having to wait for it at its end."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["call_in_daemon_thread"]

T = TypeVar("T")


async def call_in_daemon_thread(function: Callable[[], T]) -> T:
    """The result of ``function``, called in a thread of its own.

    `asyncio.to_thread` would hold up the end of the program until a broker that is away has not answered for
    long enough.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits
            hand_over(done.set_exception, error)
        else:
            hand_over(done.set_result, result)

    def hand_over(setter: Callable[..., None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else setter(value))

    threading.Thread(target=run, daemon=True, name=function.__qualname__).start()
    return await done
