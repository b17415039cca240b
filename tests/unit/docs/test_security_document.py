"""docs/security.md names a test for each threat: the tests are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:unit|contract|integration|e2e)/[\w./]+\.py)`", DOCUMENT)))
UNTESTED = {"known vulnerabilities"}
"""What no test can show without the internet."""


def threats() -> list[list[str]]:
    """The cells of every row below a heading `threat`."""
    rows, is_threat = [], False
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| threat"):
            is_threat = True
        elif not line.startswith("|"):
            is_threat = False
        elif is_threat and not line.startswith("| ---"):
            rows.append([cell.strip(" |") for cell in cells])
    return rows


@pytest.mark.parametrize("path", NAMED)
def test_named_test_is_there(path: str) -> None:
    assert (ROOT / "tests" / path).is_file()


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0][:40])
def test_every_threat_has_a_defence_and_a_test(row: list[str]) -> None:
    threat, defence, shown_by = row

    assert defence
    assert ".py" in shown_by or threat in UNTESTED
