"""Figures as JSON, with the machine named, and as tables of medians."""

import json
from pathlib import Path
from typing import Any

from tidewire.bench.machine import describe_machine
from tidewire.dev.kafka_jars import KAFKA_VERSION

from .clients import spread

__all__ = ["machine", "write_report"]


def machine() -> dict[str, Any]:
    packages = ("aiokafka", "confluent-kafka", "uvloop")
    return describe_machine(packages) | {"kafka": KAFKA_VERSION}


def write_report(folder: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps({"machine": about, "rows": rows}, indent=1))
    (folder / "figures.md").write_text(_tables(rows, about))


def _tables(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in about.items()), ""]
    lines += ["Median of the runs; in brackets least and most.", ""]
    for what in dict.fromkeys(row["what"] for row in rows):
        lines += [f"## {what}", "", *_table([row for row in rows if row["what"] == what]), ""]
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """One column for each combination of arguments, one line for each figure."""
    columns: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        given = {k: v for k, v in row.items() if k not in ("what", "run", "figures")}
        columns.setdefault(" ".join(f"{k}={v}" for k, v in given.items()), []).append(
            row["figures"]
        )
    figures = list(rows[0]["figures"])
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for name, runs in columns.items():
        cells = [_cell([run[figure] for run in runs if figure in run]) for figure in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: list[float]) -> str:
    if not values:
        return "failed"
    least, median, most = spread(values)
    return f"{median:,.4g} ({least:,.4g}, {most:,.4g})"
