"""Publishes events when the simulated clock reaches them: steps without threads, sleep or clock."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tidewire.kafka.errors import BufferFullError

from .clock import SimClock
from .events import FLIGHTS, REPLAY, Event
from .laps import LapEvent, ReplayPoint, Start

__all__ = ["CLOCK_KEY", "EventPublisher", "Progress", "Replay"]

CLOCK_KEY: Final = "clock"
_MAX_EVENTS_A_STEP: Final = 2_000


class EventPublisher(Protocol):
    """What the replay needs of `tidewire.publishing.Publisher`."""

    def publish(self, stream: str, key: str, data: object) -> None:
        """Queue an event; `BufferFullError` at the buffer's bound."""
        ...

    def flush(self) -> None:
        """Wait until everything queued is acknowledged; raises what went wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """``rate`` is events published per real second since the last report; ``total`` since the start."""

    point: ReplayPoint
    speed: float
    rate: float
    rate_by_origin: Mapping[str, float]
    total: int

    def to_row(self) -> dict[str, Any]:
        return {
            "sim": self.point.at * 1000,
            "lap": self.point.lap,
            "speed": self.speed,
            "rate": round(self.rate, 1),
            "rates": {origin: round(rate, 1) for origin, rate in self.rate_by_origin.items()},
            "published": self.total,
        }


class Replay:
    """Holds the clock, the events that are to come, and what was published since the last report."""

    def __init__(
        self, publisher: EventPublisher, start: Start, point: ReplayPoint, speed: float
    ) -> None:
        self._publisher = publisher
        self._following: Iterator[LapEvent] = start.following
        self._next = next(self._following)
        self._board = start.board
        self._lap = point.lap
        self._clock = SimClock(point.at, speed)
        self._total = 0
        self._published = 0
        self._published_by_origin: Counter[str] = Counter()

    def publish_board(self) -> None:
        """The rows that stand at the start, so that nobody waits for them to change."""
        for event in self._board:
            self._publish(event)

    def step(self, elapsed: float) -> int:
        """Let ``elapsed`` real seconds pass and publish what became due; returns how much that was."""
        self._clock = self._clock.advanced(elapsed)
        published = 0
        while self._is_due() and published < _MAX_EVENTS_A_STEP:
            self._publish(self._next.event)
            self._next = next(self._following)
            published += 1
        if self._is_due():  # more than a step takes: the clock waits for the events
            self._clock = self._clock.moved_to(self._next.event.at)
        return published

    def report(self, elapsed: float) -> Progress:
        """Publish the clock's row; all that it stands for is acknowledged before."""
        self._publisher.flush()
        progress = Progress(
            ReplayPoint(self._lap, int(self._clock.at)),
            self._clock.speed,
            self._published / elapsed,
            {origin: n / elapsed for origin, n in sorted(self._published_by_origin.items())},
            self._total,
        )
        self._published = 0
        self._published_by_origin.clear()
        self._publisher.publish(REPLAY, CLOCK_KEY, progress.to_row())
        return progress

    def _is_due(self) -> bool:
        if (
            self._next.lap != self._lap
        ):  # the lap is over: its rows are removed, the year starts again
            self._lap = self._next.lap
            self._clock = self._clock.moved_to(self._next.event.at)
        return self._next.event.at <= self._clock.at

    def _publish(self, event: Event) -> None:
        try:
            self._publisher.publish(event.stream, event.key, event.data)
        except BufferFullError:
            self._publisher.flush()
            self._publisher.publish(event.stream, event.key, event.data)
        self._total += 1
        self._published += 1
        if event.stream == FLIGHTS:
            self._published_by_origin[event.key.partition("/")[0]] += 1
