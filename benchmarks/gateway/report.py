"""Figures as JSON and as tables for people (pure but for the writing)."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .figures import Figure, Kind, Sample, spread_of

__all__ = ["Results", "include_tables", "tables", "write_results"]

_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_MARKS = {True: "yes", False: "**no**", None: ""}
_COLUMNS = {
    "cpu_us_per_delivery": "CPU µs a delivery",
    "user_share": "of it in user mode",
    "events_per_frame": "events a frame",
    "frames_per_second": "frames/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "client_cpu_us_per_delivery": "load client's CPU µs a delivery",
}


class Results:
    """All that a run of the benchmark brought."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.about = dict(about)
        self.figures: list[Figure] = []
        self.samples: list[Sample] = []
        self.failures: list[str] = []

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.about,
            "figures": [figure.to_json() for figure in self.figures],
            "samples": [sample.to_json() for sample in self.samples],
            "failures": self.failures,
        }


def write_results(folder: Path, name: str, results: Results) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n")
    (folder / f"{name}.md").write_text(tables(results))


def tables(results: Results) -> str:
    """Markdown: the machine, the figures with their targets, then the samples load by load."""
    lines = ["; ".join(f"{name} {value}" for name, value in results.about.items()), ""]
    lines += ["Median of the runs; in brackets least and most.", ""]
    lines += [f"**Failed:** {failure}\n" for failure in results.failures]
    lines += _figures_table(results.figures)
    for load in dict.fromkeys(sample.load for sample in results.samples):
        lines += ["", f"### {load}", ""]
        lines += _samples_table([s for s in results.samples if s.load == load])
    return "\n".join(lines) + "\n"


def include_tables(document: Path, results: Results) -> None:
    """Put the tables between the marks of a document."""
    text = document.read_text()
    body = f"{_BEGIN}\n\n{tables(results)}\n{_END}"
    pattern = re.escape(_BEGIN) + ".*?" + re.escape(_END)
    found, count = re.subn(pattern, lambda _: body, text, flags=re.DOTALL)
    assert count == 1, f"{document} needs {_BEGIN} … {_END} once"
    document.write_text(found)


def _figures_table(figures: Sequence[Figure]) -> list[str]:
    lines = [
        "| # | figure | target | measured | reached | both sides |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        sides = ", ".join(f"{name} {text}" for name, text in figure.sides.items())
        cells = [figure.id, figure.name, _target(figure), _measured(figure)]
        lines.append(f"| {' | '.join([*cells, _MARKS[figure.is_met], sides])} |")
    return lines


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≥" if figure.goal == "at least" else "≤"
    text = f"{sign} {_number(figure.target)} {figure.unit}"
    return text if figure.stretch is None else f"{text} (stretch {_number(figure.stretch)})"


def _measured(figure: Figure) -> str:
    spread = figure.spread
    unit = "" if figure.kind is Kind.RATIO and figure.unit == "×" else f" {figure.unit}"
    return f"{_number(spread.median)}{unit} ({_number(spread.least)}–{_number(spread.most)})"


def _samples_table(samples: Sequence[Sample]) -> list[str]:
    names = list(dict.fromkeys(name for sample in samples for name in sample.values))
    lines = [
        "| | " + " | ".join(_COLUMNS.get(name, name.replace("_", " ")) for name in names) + " |"
    ]
    lines.append("|---" * (len(names) + 1) + "|")
    for contender in dict.fromkeys(sample.contender for sample in samples):
        runs = [s.values for s in samples if s.contender == contender]
        cells = [_cell([run[name] for run in runs if name in run]) for name in names]
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    return lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = spread_of(values)
    if len(values) == 1 or spread.least == spread.most:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.least)}–{_number(spread.most)})"


def _number(value: float) -> str:
    """Three significant figures, thousands with separators."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
