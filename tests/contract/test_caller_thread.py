"""Calls are made on one thread, in order, whatever becomes of those who asked."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tidewire.kafka.caller_thread import CallerThread


@pytest.fixture
def caller() -> Iterator[CallerThread]:
    caller = CallerThread("calls")
    yield caller
    caller.stop()


async def test_calls_are_made_in_order_on_one_thread(caller: CallerThread) -> None:
    made: list[int] = []

    def note(number: int) -> str:
        made.append(number)
        return threading.current_thread().name

    names = await asyncio.gather(*(caller.call(note, number) for number in range(20)))
    assert made == list(range(20))
    assert set(names) == {"calls"}


async def test_what_a_call_raises_reaches_the_one_who_asked(caller: CallerThread) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await caller.call(int, "x")
    assert await caller.call(int, "7") == 7


@pytest.mark.parametrize("fails", [False, True])
async def test_call_goes_on_when_its_wait_is_cancelled(caller: CallerThread, fails: bool) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go_on.wait(10)
        done.set()
        if fails:
            raise ValueError

    waiting = asyncio.create_task(caller.call(call))
    await asyncio.to_thread(begun.wait, 10)
    queued = asyncio.create_task(caller.call(done.is_set))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not done.is_set()
    go_on.set()
    assert await queued


async def test_calls_asked_for_before_the_end_are_made(caller: CallerThread) -> None:
    asked = asyncio.create_task(caller.call(threading.current_thread))
    await asyncio.sleep(0)
    caller.stop()
    thread = await asked
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    with pytest.raises(AssertionError):
        await caller.call(int, "7")


def test_answer_to_a_loop_that_is_closed_is_dropped() -> None:
    caller = CallerThread("calls")
    begun, go_on = threading.Event(), threading.Event()

    def call() -> threading.Thread:
        begun.set()
        go_on.wait(10)
        return threading.current_thread()

    async def ask() -> None:
        asked = asyncio.create_task(caller.call(call))
        await asyncio.sleep(0)
        begun.wait(10)
        asked.cancel()

    asyncio.run(ask())
    go_on.set()
    assert asyncio.run(caller.call(lambda: "the next"))
    caller.stop()
