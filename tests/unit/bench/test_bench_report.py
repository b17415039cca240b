"""Tables of the benchmark, and their place in a document."""

from pathlib import Path

import pytest
from benchmarks.gateway.figures import Figure, Goal, Kind, Sample
from benchmarks.gateway.report import Results, include_tables, tables

DOCUMENT = "before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n"


def results() -> Results:
    found = Results({"kernel": "6.1", "commit": "abc"})
    found.figures = [
        Figure(
            "B1", "share", [0.8, 0.9, 0.7], "×", Kind.RATIO, target=0.8, sides={"limit": "2 µs"}
        ),
        Figure("B4", "memory", [13.0], "KB", Kind.ABSOLUTE, Goal.MOST, 12.0),
    ]
    found.samples = [
        Sample("flood", "ours", run, {"cpu_us_per_delivery": cost})
        for run, cost in ((0, 4.0), (1, 6.0))
    ]
    return found


def test_figures_tell_target_median_spread_and_both_sides() -> None:
    text = tables(results())
    assert "| B1 | share | ≥ 0.8 × | 0.8 (0.7–0.9) | yes | limit 2 µs |" in text
    assert "| B4 | memory | ≤ 12 KB | 13 KB (13–13) | **no** |  |" in text


def test_samples_are_told_load_by_load_with_their_spread() -> None:
    text = tables(results())
    assert "### flood" in text
    assert "| ours | 5 (4–6) |" in text


def test_machine_and_commit_are_told() -> None:
    assert tables(results()).startswith("kernel 6.1; commit abc")


def test_document_gets_the_tables_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(DOCUMENT)
    include_tables(document, results())
    include_tables(document, results())
    text = document.read_text()
    assert text.startswith("before\n<!-- figures: begin -->")
    assert text.endswith("<!-- figures: end -->\nafter\n")
    assert "old" not in text
    assert text.count("### flood") == 1


def test_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("nothing here\n")
    with pytest.raises(AssertionError):
        include_tables(document, results())
    assert document.read_text() == "nothing here\n"
