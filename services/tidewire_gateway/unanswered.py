"""Subscribe requests that cannot be answered yet, each with the time at which it is answered all the same."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tidewire.protocol.frames import Subscribe

from .core.subscriptions import Subscription
from .timers import Handle, Timers

__all__ = ["UnansweredRequests", "UnresolvedRequests"]

R = TypeVar("R")


@dataclass(slots=True)
class _Unanswered:
    request: Subscribe
    due_at: float
    is_late: bool = False


class UnansweredRequests:
    """Requests whose partitions have not caught up. ``on_late`` is called after ``timeout`` seconds.

    There is one timer for all of them: most are answered in the turn in which they came.
    """

    def __init__(
        self, timers: Timers, timeout: float, on_late: Callable[[Subscription], None]
    ) -> None:
        self._timers = timers
        self._timeout = timeout
        self._on_late = on_late
        self._by_subscription: dict[Subscription, _Unanswered] = {}
        self._in_time: dict[Subscription, None] = {}  # those that are not late, as they came
        self._timer: Handle | None = None

    def __contains__(self, subscription: Subscription) -> bool:
        return subscription in self._by_subscription

    def add(self, subscription: Subscription, request: Subscribe) -> None:
        due_at = self._timers.time() + self._timeout
        self._by_subscription[subscription] = _Unanswered(request, due_at)
        self._in_time[subscription] = None
        if self._timer is None:
            self._timer = self._timers.call_at(due_at, self._expire)

    def request_of(self, subscription: Subscription) -> Subscribe:
        return self._by_subscription[subscription].request

    def is_late(self, subscription: Subscription) -> bool:
        return self._by_subscription[subscription].is_late

    def discard(self, subscription: Subscription) -> None:
        self._by_subscription.pop(subscription, None)
        self._in_time.pop(subscription, None)

    def _expire(self) -> None:
        self._timer = None
        while self._in_time:
            subscription = next(iter(self._in_time))
            unanswered = self._by_subscription[subscription]
            if unanswered.due_at > self._timers.time():
                self._timer = self._timers.call_at(unanswered.due_at, self._expire)
                return
            del self._in_time[subscription]
            unanswered.is_late = True
            self._on_late(subscription)


@dataclass(frozen=True, slots=True)
class _Unresolved(Generic[R]):
    asker: R
    request: Subscribe
    timer: Handle


class UnresolvedRequests(Generic[R]):
    """Requests for streams whose topic the node does not know yet, in the order they came."""

    def __init__(
        self, timers: Timers, timeout: float, on_late: Callable[[R, Subscribe, str], None]
    ) -> None:
        self._timers = timers
        self._timeout = timeout
        self._on_late = on_late
        self._by_stream: dict[str, list[_Unresolved[R]]] = {}

    def add(self, stream: str, asker: R, request: Subscribe) -> None:
        timer = self._timers.call_later(self._timeout, self._expire, stream, asker, request)
        self._by_stream.setdefault(stream, []).append(_Unresolved(asker, request, timer))

    def take(self, stream: str) -> Iterable[tuple[R, Subscribe]]:
        """Hand over the requests for a stream."""
        waiting = self._by_stream.pop(stream, [])
        for one in waiting:
            one.timer.cancel()
        return [(one.asker, one.request) for one in waiting]

    def drop(self, asker: R) -> None:
        """The connection has ended."""
        for stream, waiting in list(self._by_stream.items()):
            for one in waiting:
                if one.asker is asker:
                    one.timer.cancel()
            self._keep(stream, [one for one in waiting if one.asker is not asker])

    def _expire(self, stream: str, asker: R, request: Subscribe) -> None:
        waiting = self._by_stream[stream]
        self._keep(stream, [one for one in waiting if one.request is not request])
        self._on_late(asker, request, stream)

    def _keep(self, stream: str, waiting: list[_Unresolved[R]]) -> None:
        if waiting:
            self._by_stream[stream] = waiting
        else:
            del self._by_stream[stream]
