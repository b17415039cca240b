"""Publishing on a schedule that does not wait for the system it loads."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ...config.streams import Stream
from ...protocol.channels import parse_channel
from ...publishing import BufferFullError, Event, Publisher
from ..errors import PlanError
from .plan import Plan, Publication
from .subscribing import STAMP

__all__ = ["PacedPublisher", "Published", "data_of", "keys_of"]

SOURCE: Final = "tidewire-bench"
_TICK: Final = 0.005
"""Events due within so many seconds go out together: a sleep between any two would cost more than they do."""


@dataclass(frozen=True, slots=True)
class Published:
    """``events`` of ``due`` ones; ``behind``: by how many seconds the last one left later than it was due."""

    events: int
    due: int
    seconds: float
    behind: float


class PacedPublisher:
    """Publishes events that carry when they were due; a context manager that removes its keys again.

    An event that leaves late keeps the time it was due, so that no delay is left out of the latencies;
    what is due and has not left when the time is over never leaves.
    """

    def __init__(self, publisher: Publisher, plan: Publication, keys: Sequence[str]) -> None:
        self._publisher = publisher
        self._plan = plan
        self._keys = keys
        self._next_keys = itertools.cycle(keys)
        self._events = 0
        self._began = self._ended = 0
        self._due = 0
        self._behind = 0

    def run(self, seconds: float) -> None:
        """Publish for ``seconds``; `last_run` tells what became of it, also when this is interrupted."""
        self._events = 0
        self._began = self._ended = time.monotonic_ns()
        self._behind = 0
        self._due = math.ceil(round(self._plan.rate * seconds, 6))
        end = self._began + round(seconds * 1e9)
        try:
            for due in self._schedule():
                _sleep_until(due)
                if time.monotonic_ns() >= end:
                    break
                self._publish(due)
                self._behind = time.monotonic_ns() - due
            _sleep_until(end)
        finally:
            self._ended = time.monotonic_ns()

    def last_run(self) -> Published:
        seconds = (self._ended - self._began) / 1e9
        return Published(self._events, self._due, seconds, self._behind / 1e9)

    def flush(self) -> None:
        """Wait until everything is acknowledged; raises what `Publisher.flush` does."""
        self._publisher.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in self._keys:
            self._offer(key, None)
        self._publisher.flush()

    def _schedule(self) -> Iterator[int]:
        rate = self._plan.rate
        together = max(1, round(rate * _TICK))
        for number in range(self._due):
            yield self._began + round(number // together * together / rate * 1e9)

    def _publish(self, due: int) -> None:
        self._offer(next(self._next_keys), data_of(due, self._plan.data_bytes))
        self._events += 1

    def _offer(self, key: str, data: bytes | None) -> None:
        event = Event(key=key, data=data)
        while True:
            try:
                self._publisher.publish_event(self._plan.stream, event)
            except BufferFullError:
                self._publisher.flush()
            else:
                return


def keys_of(plan: Plan, rules: Stream) -> list[str]:
    """Keys that a subscriber of the plan's channel sees, as many as its publication wants.

    Raises `PlanError` where the stream cannot have them.
    """
    assert plan.publication is not None
    count, group = plan.publication.keys, parse_channel(plan.channel).group
    if rules.entity != "key":
        raise PlanError(
            f"--stream {plan.publication.stream}: events of this stream are about their "
            f"{rules.entity}, which --publish does not make: publish by a program of your own"
        )
    if group is None:
        suffix = "/bench" if rules.group == "key-prefix" else ""
        return [f"bench-{number}{suffix}" for number in range(count)]
    if rules.group == "key":
        if count != 1:
            raise PlanError(f"--keys {count}: {plan.channel} is one key's channel: give --keys 1")
        return [group]
    return [f"{group}/bench-{number}" for number in range(count)]


def _sleep_until(at: int) -> None:
    wait = at - time.monotonic_ns()
    if wait > 0:
        time.sleep(wait / 1e9)


def data_of(due: int, size: int) -> bytes:
    """JSON of ``size`` bytes, unless the stamp alone needs more."""
    head = b'{%b%d,"pad":"' % (STAMP.encode(), due)
    return head + b"x" * (size - len(head) - 2) + b'"}'
