"""The year, lap after lap: where a replay stands, and every event from there on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Final, NamedTuple

from .dataset import FIRST_DAY, Dataset
from .events import BoardRules, Event
from .timeline import board_until, merge

__all__ = ["LapEvent", "ReplayPoint", "Start", "begin", "parse_start"]

# The longest delay (21.7 h) plus the longest flight (11 h) and the lingering row fit into two days.
_LOOK_BACK: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True, order=True)
class ReplayPoint:
    """Where a replay stands: ``at`` is the simulated Unix time within the lap; every lap is 2013."""

    lap: int
    at: int


class LapEvent(NamedTuple):
    lap: int
    event: Event


@dataclass(frozen=True, slots=True)
class Start:
    """``board`` holds the rows standing at the start, in order of time; ``following`` never ends."""

    board: tuple[Event, ...]
    following: Iterator[LapEvent]


def begin(dataset: Dataset, point: ReplayPoint, rules: BoardRules) -> Start:
    """The board as it stands at ``point``, then all that comes after it, lap after lap."""
    first_day = datetime.fromtimestamp(point.at, UTC).date() - _LOOK_BACK
    events = merge(dataset.days_from(max(first_day, FIRST_DAY)), rules)
    board, next_event = board_until(events, point.at)
    rows = tuple(sorted(board.values(), key=lambda event: event.at))
    return Start(rows, _following(dataset, rules, point.lap, next_event, events))


def parse_start(text: str, dataset: Dataset) -> int:
    """Read ``2013-07-04T12:00``, New York's local time, as a Unix time; `ValueError` if it is not one."""
    local = datetime.fromisoformat(text)
    if local.tzinfo is not None or not date(2012, 12, 31) < local.date() <= date(2013, 12, 31):
        raise ValueError(f"{text} is not a local time of the year 2013")
    midnight = dataset.starts_at(local.date())
    return midnight + local.hour * 3600 + local.minute * 60 + local.second


def _following(
    dataset: Dataset,
    rules: BoardRules,
    lap: int,
    next_event: Event | None,
    events: Iterator[Event],
) -> Iterator[LapEvent]:
    if next_event is not None:
        yield LapEvent(lap, next_event)
    yield from (LapEvent(lap, event) for event in events)
    for later in count(lap + 1):
        for event in merge(dataset.days_from(FIRST_DAY), rules):
            yield LapEvent(later, event)
