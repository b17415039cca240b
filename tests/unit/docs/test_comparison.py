"""docs/comparison.md: figures are those recorded, claims are shown by what is there, and others' abilities have a source."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from unit.docs import pages

DOCUMENT: Final = "docs/comparison.md"
RESULTS: Final = "benchmarks/gateway/results/whole.json"
SCENARIOS: Final = Path("benchmarks/gateway/scenarios")


@cache
def figures() -> dict[str, dict[str, Any]]:
    return {figure["name"]: figure for figure in json.loads(pages.text(RESULTS))["figures"]}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table beneath a heading, without its first two lines."""
    section = pages.text(DOCUMENT).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def measured() -> list[tuple[str, str, str, str]]:
    """Figure, what stands for ours and theirs, and the ratio."""
    return [
        (figure.removeprefix("`` ").strip("`"), ours, theirs, ratio)
        for _, ours, theirs, ratio, figure in rows("Side by side")
    ]


@pytest.mark.parametrize(("name", "ours", "theirs", "ratio"), measured())
def test_figure_is_what_was_measured_side_by_side(
    name: str, ours: str, theirs: str, ratio: str
) -> None:
    figure = figures()[name]
    assert f"{figure['median']:.{len(ratio.partition('.')[2])}f}" == ratio
    if figure["sides"]:
        assert figure["sides"]["tidewire"] == ours
        assert theirs in figure["sides"].values()
    else:
        assert (ours, theirs) == ("–", "–")


def test_no_other_figure_compares() -> None:
    """Ratios and costs of others stand in the table alone, where the test above sees them."""
    table = "\n".join(" | ".join(row) for row in rows("Side by side"))
    elsewhere = pages.text(DOCUMENT)
    for row in rows("Side by side"):
        elsewhere = elsewhere.replace(" | ".join(row), "")
    assert re.search(r"\d µs", table)
    assert re.findall(r"\d+(?:\.\d+)? (?:µs|ms|×)", elsewhere) == []


def benchmarks() -> set[str]:
    """B1 and so on: those that have figures, and those whose scenario says its number."""
    said = (path.read_text() for path in (pages.ROOT / SCENARIOS).glob("*.py"))
    return {figure["id"] for figure in figures().values()} | {
        number for text in said for number in re.findall(r"\bB\d+\b", text)
    }


@pytest.mark.parametrize(("claim", "shown_by"), rows("What we do, together"))
def test_claim_is_shown_by_what_is_there(claim: str, shown_by: str) -> None:
    assert claim
    files = re.findall(r"`([\w/]+\.py)`", shown_by)
    drills = {
        int(n) for n in re.findall(r"\d+", " ".join(re.findall(r"drills? ([\d and]+)", shown_by)))
    }
    numbers = set(re.findall(r"\bB\d+\b", shown_by))
    assert files or drills or numbers
    assert all((pages.ROOT / "tests" / file).is_file() for file in files)
    assert drills <= pages.drills()
    assert numbers <= benchmarks()


def test_what_a_connection_takes_is_what_was_measured() -> None:
    found = figures()["memory of an idle connection, 18,476 held"]["median"]
    assert f"An idle connection is {found:.1f} KB" in pages.text(DOCUMENT)


def test_each_alternative_says_what_is_better_when_to_choose_it_and_where_it_says_so() -> None:
    section = pages.text(DOCUMENT).partition("\n## One by one\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### .+$", section, flags=re.MULTILINE)[1:]
    assert len(parts) == 9
    for part in parts:
        assert "- **Better**" in part
        assert "- **Choose it**" in part
        assert "](https://" in part


def test_it_says_when_it_was_looked_up() -> None:
    assert re.search(r"looked up on 20\d\d-\d\d-\d\d", pages.flowing(DOCUMENT))
