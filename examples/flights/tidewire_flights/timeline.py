"""All flights' events merged in order of simulated time, a day's flights in memory at once."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from .events import FLIGHTS, BoardRules, Event, flight_events
from .flights import Flight

__all__ = ["Day", "board_until", "merge"]


class Day(NamedTuple):
    """One calendar day: its flights' scheduled departures lie at or after ``starts_at`` (Unix)."""

    starts_at: int
    flights: Sequence[Flight]


@dataclass(slots=True)
class _Merge:
    """Events that wait for their time, and until when each key's present row occupies it."""

    rules: BoardRules
    heap: list[tuple[int, int, Event]] = field(default_factory=list)
    free_at_by_key: dict[str, int] = field(default_factory=dict)
    sequence: Iterator[int] = field(default_factory=count)

    def add(self, flights: Sequence[Flight]) -> None:
        for flight in sorted(flights, key=lambda flight: flight.sched_dep_at):
            free_at = self.free_at_by_key.get(flight.key, 0)
            events = flight_events(flight, self.rules, not_before=free_at)
            self.free_at_by_key[flight.key] = events[-1].at
            for event in events:
                heapq.heappush(self.heap, (event.at, next(self.sequence), event))

    def take_before(self, at: float) -> Iterator[Event]:
        while self.heap and self.heap[0][0] < at:
            yield heapq.heappop(self.heap)[2]


def merge(days: Iterable[Day], rules: BoardRules) -> Iterator[Event]:
    """Every event of every day in order of ``at``; ``days`` come in order and are taken when due."""
    merged = _Merge(rules)
    for day in days:
        yield from merged.take_before(day.starts_at - rules.board_lead)
        merged.add(day.flights)
    yield from merged.take_before(float("inf"))


def board_until(events: Iterator[Event], at: int) -> tuple[dict[str, Event], Event | None]:
    """Take events up to and including ``at``: the rows standing then, and the first event after it."""
    board: dict[str, Event] = {}
    for event in events:
        if event.at > at:
            return board, event
        if event.stream != FLIGHTS:
            continue
        if event.data is None:
            board.pop(event.key, None)
        else:
            board[event.key] = event
    return board, None
