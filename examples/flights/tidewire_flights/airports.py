"""Airports and their clocks: local times of the data set to instants and back.

The data set gives each airport its standard offset (``tz``, hours) and its daylight saving rule
(``dst``: ``A`` the United States' rule of 2007 on, ``N`` none), which is all that flights of 2013 need;
so no time zone database is required of the machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

__all__ = ["ADDED_AIRPORTS", "Airport", "first_after", "local_midnight", "utc_offset"]

_MARCH: Final = 3
_NOVEMBER: Final = 11
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Airport:
    """``offset`` is the standard offset from UTC in seconds; ``has_dst``: the US rule applies."""

    faa: str
    name: str
    lat: float
    lon: float
    offset: int
    has_dst: bool
    tzone: str

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, str]]) -> dict[str, "Airport"]:
        """Airports by code from the rows of ``airports.csv``, with `ADDED_AIRPORTS`."""
        airports = {row["faa"]: cls._from_row(row) for row in rows}
        return {**{airport.faa: airport for airport in ADDED_AIRPORTS}, **airports}

    @classmethod
    def _from_row(cls, row: Mapping[str, str]) -> "Airport":
        return cls(
            faa=row["faa"],
            name=row["name"],
            lat=round(float(row["lat"]), 4),
            lon=round(float(row["lon"]), 4),
            offset=int(row["tz"]) * 3600 if row["tz"] not in {"", "NA"} else 0,
            has_dst=row["dst"] == "A",
            tzone=row["tzone"],
        )


# The four destinations of flights.csv that airports.csv lacks: Puerto Rico and the US Virgin Islands,
# Atlantic Standard Time all year. Coordinates: FAA airport data.
ADDED_AIRPORTS: Final = tuple(
    Airport(faa, name, lat, lon, -4 * 3600, False, "America/Puerto_Rico")
    for faa, name, lat, lon in (
        ("BQN", "Rafael Hernandez", 18.4949, -67.1294),
        ("PSE", "Mercedita", 18.0083, -66.5630),
        ("SJU", "Luis Munoz Marin Intl", 18.4394, -66.0018),
        ("STT", "Cyril E King", 18.3373, -64.9734),
    )
)


def utc_offset(airport: Airport, at: int) -> int:
    """Seconds that the airport's local clock is ahead of UTC at the Unix time ``at``."""
    if not airport.has_dst:
        return airport.offset
    start, end = _dst_span(datetime.fromtimestamp(at, UTC).year, airport.offset)
    return airport.offset + (3600 if start <= at < end else 0)


def local_midnight(day: date, airport: Airport) -> int:
    """The Unix time at which ``day`` begins on the airport's clock."""
    naive = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return naive - utc_offset(airport, naive - airport.offset)


def first_after(at: int, minute_of_day: int, airport: Airport) -> int:
    """The first Unix time from ``at`` on when the airport's clock shows that minute of the day."""
    offset = utc_offset(airport, at)
    minute = (at + offset) // 60 % _DAY_MINUTES
    found = at - at % 60 + (minute_of_day - minute) % _DAY_MINUTES * 60
    return found - (utc_offset(airport, found) - offset)


@lru_cache(maxsize=64)
def _dst_span(year: int, offset: int) -> tuple[int, int]:
    """Second Sunday of March 02:00 standard time to first Sunday of November 02:00 daylight time."""
    start = _sunday(year, _MARCH, 2) + timedelta(hours=2, seconds=-offset)
    end = _sunday(year, _NOVEMBER, 1) + timedelta(hours=1, seconds=-offset)
    return int(start.timestamp()), int(end.timestamp())


def _sunday(year: int, month: int, nth: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))
