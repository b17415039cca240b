"""Processes on one clock that moves only when a test says so, and links that hold up what they ask for."""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from enum import Enum
from typing import Any, TypeVar

__all__ = ["Clock", "Flow", "Link", "Process", "advance", "answer_of", "settle"]

T = TypeVar("T")
_NEVER = float("inf")
_MICROSECOND = 1e-6
"""Nothing takes no time: who looks at the clock when a timer fires finds that it is over."""


_MOST_ROUNDS = 1000


class Clock:
    """``now`` is monotonic seconds; stands in for the module ``time``, too."""

    def __init__(self) -> None:
        self.now = 1000.0

    @property
    def now_ms(self) -> int:
        """Unix milliseconds."""
        return 1_700_000_000_000 + round(self.now * 1000)

    def time(self) -> float:
        return self.now_ms / 1000

    def time_ns(self) -> int:
        return self.now_ms * 1_000_000


class _Selector(selectors.SelectSelector):
    def __init__(self, on_idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._on_idle(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that returns where others would sleep."""

    def __init__(self, clock: Clock) -> None:
        self._virtual_clock = clock
        self._is_due = True
        self.wakes_at = _NEVER
        super().__init__(_Selector(self._idle))

    def time(self) -> float:
        return self._virtual_clock.now

    @property
    def has_work(self) -> bool:
        return self._is_due or self.wakes_at <= self.time()

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]  # hands on what it is given
        self._is_due = True
        return super().call_soon(*args, **options)

    def _idle(self, timeout: float | None) -> None:
        self._is_due = False
        self.wakes_at = _NEVER if timeout is None else self.time() + timeout
        self.stop()


class Process:
    """An event loop of its own: it can be paused, while time goes on, and killed."""

    def __init__(self, clock: Clock) -> None:
        self.loop = _Loop(clock)
        self.is_paused = False
        self.is_dead = False
        self._failures: list[BaseException] = []
        self.loop.set_exception_handler(self._failed)

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self.loop.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def do(self, callback: Callable[..., object], *args: Any) -> None:
        """As soon as its loop turns."""
        if not self.is_dead:
            self.loop.call_soon(callback, *args)

    @property
    def is_running(self) -> bool:
        return not (self.is_dead or self.is_paused)

    def run(self) -> None:
        """Until everything waits."""
        if self.is_running and self.loop.has_work:
            self.loop.run_forever()
        if self._failures:
            raise self._failures[0]

    def kill(self) -> None:
        """Nothing that it would still do reaches anybody."""
        if self.is_dead:
            return
        self.is_dead = True
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_forever()
        self.loop.close()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._failures.append(error)

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(context.get("exception") or AssertionError(context["message"]))


class Flow(Enum):
    OPEN = "open"
    HELD = "held"
    """What is asked does not arrive yet."""
    MUTE = "mute"
    """What is asked is done, and the answer does not arrive yet."""
    CUT = "cut"
    """Every call fails at once."""


class Link:
    """The way of a process to a service. Who had no answer after ``timeout`` seconds does not know what was done.

    ``is_late``: what nobody waits for any more is done all the same when it arrives at last.
    """

    def __init__(
        self,
        process: Process,
        unavailable: Callable[[], Exception],
        *,
        timeout: float = 2.0,
        is_late: bool = True,
    ) -> None:
        self.flow = Flow.OPEN
        self._process = process
        self._unavailable = unavailable
        self._timeout = timeout
        self._is_late = is_late
        self._asked: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._answers: deque[Callable[[], None]] = deque()

    async def call(self, act: Callable[[], T]) -> T:
        if self._process.is_dead or self.flow is Flow.CUT:
            raise self._unavailable()
        future: asyncio.Future[T] = self._process.loop.create_future()
        self._asked.append((act, future))
        try:
            async with asyncio.timeout(self._timeout):
                return await future
        except TimeoutError:
            raise self._unavailable() from None

    def set(self, flow: Flow) -> None:
        self.flow = flow

    def move(self) -> bool:
        """Do what may be done; whether there was anything."""
        if self.flow is Flow.HELD:
            return False
        if self.flow is Flow.OPEN:
            is_moved = bool(self._asked or self._answers)
            self._answer()
        else:
            is_moved = bool(self._asked)
        while self._asked:
            self._do_first(is_answered=self.flow is Flow.OPEN)
        return is_moved

    def step(self) -> None:
        """Do the first of what is held, and let what was done be answered."""
        if self._asked:
            self._do_first(is_answered=True)
        self._answer()

    def _answer(self) -> None:
        while self._answers:
            self._answers.popleft()()

    def _do_first(self, *, is_answered: bool) -> None:
        act, future = self._asked.popleft()
        if self.flow is Flow.CUT:
            self._tell(future, None, self._unavailable())
            return
        if future.done() and not self._is_late:
            return
        result, error = None, None
        try:
            result = act()
        except Exception as raised:  # noqa: BLE001 - it is the asker's
            error = raised
        if is_answered:
            self._tell(future, result, error)
        else:
            self._answers.append(lambda: self._tell(future, result, error))

    def _tell(self, future: "asyncio.Future[Any]", result: object, error: Exception | None) -> None:
        if future.done() or self._process.is_dead:
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def settle(processes: Iterable[Process], links: Iterable[Link]) -> None:
    """Until nothing happens without time passing."""
    everybody, ways = list(processes), list(links)
    is_moving, rounds = True, 0
    while is_moving:
        rounds += 1
        assert rounds < _MOST_ROUNDS, "it never comes to rest"
        for process in everybody:
            process.run()
        is_moving = sum(way.move() for way in ways) > 0  # each of them


def advance(
    clock: Clock, seconds: float, processes: Iterable[Process], links: Iterable[Link]
) -> None:
    """Let time pass, from one timer to the next."""
    everybody, ways = list(processes), list(links)
    end = clock.now + seconds
    settle(everybody, ways)
    while (at := min((p.loop.wakes_at for p in everybody if p.is_running), default=_NEVER)) <= end:
        clock.now = max(clock.now, at) + _MICROSECOND
        settle(everybody, ways)
    clock.now = max(clock.now, end)


def answer_of(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    raise AssertionError("it waits for something")
