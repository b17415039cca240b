"""One flight of the data set, with its local times resolved to instants."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from .airports import Airport, first_after, local_midnight
from .errors import DatasetError

__all__ = ["COLUMNS", "Flight", "flight_from_row"]

COLUMNS: Final = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time",
    "arr_delay", "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour",
    "minute", "time_hour",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flight:
    """A row of flights.csv. Times are Unix seconds, delays minutes (negative: early).

    ``dep_at`` None: cancelled. ``arr_at`` None though departed: it never reached its destination.
    ``is_diverted``: it departed, and the data set holds neither arrival delay nor air time.
    """

    carrier: str
    number: int
    origin: str
    dest: str
    tail: str | None
    distance: int
    sched_dep_at: int
    sched_arr_at: int
    dep_at: int | None
    dep_delay: int | None
    arr_at: int | None
    arr_delay: int | None
    is_diverted: bool

    @property
    def key(self) -> str:
        return f"{self.origin}/{self.carrier}-{self.number}"

    @property
    def is_cancelled(self) -> bool:
        return self.dep_at is None

    @property
    def expected_arr_at(self) -> int:
        """Actual departure plus the scheduled gate-to-gate time."""
        late = 0 if self.dep_at is None else self.dep_at - self.sched_dep_at
        return self.sched_arr_at + late


def flight_from_row(row: Mapping[str, str], airports: Mapping[str, Airport]) -> Flight:
    """Resolve one row, by these rules.

    - Scheduled departure: the row's date and local time on the clock of the origin.
    - Actual departure: scheduled departure + ``dep_delay``.
    - Scheduled arrival: the first time after the scheduled departure when the destination's clock shows
      ``sched_arr_time``.
    - Actual arrival: scheduled arrival + ``arr_delay``; where only ``arr_time`` is known (a diverted flight
      that reached its destination in the end), the first time after departure that shows it.
    """
    origin, dest = _airport(row["origin"], airports), _airport(row["dest"], airports)
    sched_dep_at = _sched_dep_at(row, origin)
    sched_arr_at = first_after(sched_dep_at + 60, _minute_of_day(row["sched_arr_time"]), dest)
    dep_delay = _number(row["dep_delay"])
    dep_at = None if dep_delay is None else sched_dep_at + dep_delay * 60
    arr_at, arr_delay = None, _number(row["arr_delay"])
    if arr_delay is not None:
        arr_at = sched_arr_at + arr_delay * 60
    elif dep_at is not None and _number(row["arr_time"]) is not None:
        arr_at = first_after(dep_at + 60, _minute_of_day(row["arr_time"]), dest)
        arr_delay = (arr_at - sched_arr_at) // 60
    return Flight(
        carrier=row["carrier"],
        number=int(row["flight"]),
        origin=origin.faa,
        dest=dest.faa,
        tail=None if row["tailnum"] in {"", "NA"} else row["tailnum"],
        distance=int(row["distance"]),
        sched_dep_at=sched_dep_at,
        sched_arr_at=sched_arr_at,
        dep_at=dep_at,
        dep_delay=dep_delay,
        arr_at=arr_at,
        arr_delay=arr_delay,
        is_diverted=dep_at is not None and _number(row["arr_delay"]) is None,
    )


def _sched_dep_at(row: Mapping[str, str], origin: Airport) -> int:
    day = date(int(row["year"]), int(row["month"]), int(row["day"]))
    return first_after(local_midnight(day, origin), _minute_of_day(row["sched_dep_time"]), origin)


def _airport(code: str, airports: Mapping[str, Airport]) -> Airport:
    try:
        return airports[code]
    except KeyError:
        raise DatasetError(f"airport {code} is in flights.csv but not in airports.csv") from None


def _number(text: str) -> int | None:
    return None if text in {"", "NA"} else int(text)


def _minute_of_day(hhmm: str) -> int:
    number = int(hhmm)
    return (number // 100 * 60 + number % 100) % (24 * 60)
