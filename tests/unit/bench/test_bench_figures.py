"""Figures of the benchmark: spreads, ratios of one run, targets, what fell since it was recorded."""

from typing import Any

import pytest
from benchmarks.gateway.check import fallen
from benchmarks.gateway.figures import Figure, Goal, Kind, Sample, ratios, spread_of
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9)


def sample(contender: str, run: int, cost: float, load: str = "flood") -> Sample:
    return Sample(load, contender, run, {"cost": cost})


def figure(
    median: float, *, goal: Goal = Goal.LEAST, kind: Kind = Kind.RATIO, target: float | None = None
) -> Figure:
    return Figure("B1", "a share", [median], "×", kind, goal, target)


def recorded(*figures: Figure) -> dict[str, Any]:
    return {"figures": [f.to_json() for f in figures]}


@given(VALUES)
def test_median_lies_between_least_and_most(values: list[float]) -> None:
    spread = spread_of(values)
    assert min(values) == spread.least <= spread.median <= spread.most == max(values)


@pytest.mark.parametrize(
    ("values", "median"), [([3.0], 3.0), ([1.0, 2.0], 1.5), ([9.0, 1.0, 2.0], 2.0)]
)
def test_median_of_an_even_number_is_the_mean_of_two(values: list[float], median: float) -> None:
    assert spread_of(values).median == median


def test_ratio_pairs_the_sides_of_one_run() -> None:
    samples = [
        sample("limit", 0, 2.0),
        sample("ours", 1, 10.0),
        sample("ours", 0, 4.0),
        sample("limit", 1, 8.0),
    ]
    assert ratios(samples, "cost", load="flood", of="limit", to="ours") == [0.5, 0.8]


def test_ratio_leaves_out_what_one_side_lacks() -> None:
    samples = [
        sample("limit", 0, 2.0),
        sample("ours", 0, 4.0),
        sample("ours", 1, 4.0),
        sample("limit", 1, 4.0, load="paced"),
    ]
    assert ratios(samples, "cost", load="flood", of="limit", to="ours") == [0.5]
    assert ratios(samples, "other", load="flood", of="limit", to="ours") == []


@pytest.mark.parametrize(
    ("median", "goal", "target", "is_met"),
    [
        (0.8, Goal.LEAST, 0.8, True),
        (0.79, Goal.LEAST, 0.8, False),
        (12.0, Goal.MOST, 12.0, True),
        (12.1, Goal.MOST, 12.0, False),
        (1.0, Goal.MOST, None, None),
    ],
)
def test_target_is_reached_by_the_median(
    median: float, goal: Goal, target: float | None, is_met: bool | None
) -> None:
    assert figure(median, goal=goal, target=target).is_met is is_met


def test_ratio_that_fell_by_more_than_the_tolerance_is_named() -> None:
    told = fallen(recorded(figure(0.84)), recorded(figure(1.0)))
    assert told == ["B1 a share: 0.84 against 1 recorded, worse by 16%"]


@pytest.mark.parametrize(
    ("new", "before"),
    [
        (figure(0.86), figure(1.0)),
        (figure(2.0), figure(1.0)),
        (figure(1.14, goal=Goal.MOST), figure(1.0, goal=Goal.MOST)),
        (figure(0.1, goal=Goal.MOST), figure(1.0, goal=Goal.MOST)),
        (figure(0.1, kind=Kind.ABSOLUTE), figure(1.0, kind=Kind.ABSOLUTE)),
        (Figure("B9", "new", [1.0], "×", Kind.RATIO), figure(9.0)),
    ],
)
def test_what_is_within_the_tolerance_better_absolute_or_new_is_not_named(
    new: Figure, before: Figure
) -> None:
    assert fallen(recorded(new), recorded(before)) == []


def test_cost_that_rose_by_more_than_the_tolerance_is_named() -> None:
    before, now = figure(1.0, goal=Goal.MOST), figure(1.2, goal=Goal.MOST)
    assert len(fallen(recorded(now), recorded(before))) == 1
