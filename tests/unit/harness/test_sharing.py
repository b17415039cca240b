"""Tests that share what their fixtures start are run by one process."""

import pytest

from harness.sharing import group_of


@pytest.mark.parametrize(
    ("one", "other", "is_together"),
    [
        ("unit/a/test_x.py::test_1", "unit/a/test_x.py::test_2[a::b]", True),
        ("unit/a/test_x.py::test_1", "unit/a/test_y.py::test_1", False),
        ("integration/docs/test_x.py::test_1", "integration/docs/test_y.py::test_1", True),
        ("integration/docs/test_x.py::test_1", "unit/docs/test_x.py::test_1", False),
        ("e2e/test_console.py::test_1", "e2e/test_flights.py::test_1", True),
        ("e2e/test_drills.py::test_1[a]", "e2e/test_drills.py::test_1[b]", False),
    ],
)
def test_files_stay_whole_and_drills_stand_alone(one: str, other: str, is_together: bool) -> None:
    assert (group_of(f"tests/{one}") == group_of(f"tests/{other}")) is is_together
