"""Work that is spread over turns of the event loop."""

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from .timers import Timers

__all__ = ["Turns"]

T = TypeVar("T", bound=Hashable)


class Turns(Generic[T]):
    """Does ``act`` to what was added, once each and in order, ``most`` a turn: the loop is never held long."""

    def __init__(self, timers: Timers, act: Callable[[T], None], *, most: int) -> None:
        self._timers = timers
        self._act = act
        self._most = most
        self._due: dict[T, None] = {}
        self._is_scheduled = False

    def add(self, items: Iterable[T]) -> None:
        self._due.update(dict.fromkeys(items))
        self._schedule()

    def discard(self, item: T) -> None:
        self._due.pop(item, None)

    def _schedule(self) -> None:
        if self._due and not self._is_scheduled:
            self._is_scheduled = True
            self._timers.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        for item in list(islice(self._due, self._most)):
            if item in self._due:
                del self._due[item]
                self._act(item)
        self._schedule()
