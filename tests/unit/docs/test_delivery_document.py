"""docs/delivery.md names tests and drills for each guarantee: they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "delivery.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:unit|contract|integration|e2e)/[\w./]+\.py)`", DOCUMENT)))
DRILLS = set(re.findall(r"^\| (\d+u?) \|", (ROOT / "docs" / "drills.md").read_text(), re.MULTILINE))
DRILL_LIST = re.compile(r"\bdrills? ((?:\d+u?)(?:, \d+u?)*)")


def guarantees() -> list[list[str]]:
    """The cells of every row of the first table."""
    table = DOCUMENT.partition("| guarantee ")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


@pytest.mark.parametrize("path", NAMED)
def test_named_test_is_there(path: str) -> None:
    assert (ROOT / "tests" / path).is_file()


@pytest.mark.parametrize("row", guarantees(), ids=lambda row: row[0])
def test_every_guarantee_is_precise_and_shown_by_something(row: list[str]) -> None:
    _, precisely, shown_by = row
    drills = {number for found in DRILL_LIST.findall(shown_by) for number in found.split(", ")}

    assert len(precisely.split()) > 5
    assert drills <= DRILLS, f"docs/drills.md has no drill {drills - DRILLS}"
    assert drills or ".py" in shown_by


def test_there_are_guarantees_and_limits() -> None:
    limits = DOCUMENT.partition("## What is not guaranteed")[2].partition("\n## ")[0]

    assert len(guarantees()) > 10
    assert limits.count("\n- **") > 8
