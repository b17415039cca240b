"""How fast something grows, whatever single readings say (pure)."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

__all__ = ["Trend", "theil_sen", "trend"]

Points = Sequence[tuple[float, float]]


class Trend(NamedTuple):
    """``first`` and ``last`` are medians of the first and last tenth; slopes, of all and of the last third, are per minute."""

    first: float
    last: float
    slope: float
    late_slope: float


def theil_sen(points: Points) -> float:
    """The median of the slopes between all pairs, per unit of the first coordinate; NaN of fewer than two.

    Up to 29 % of the readings may be anything at all before it follows them.
    """
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 != x1]
    return median(slopes) if slopes else float("nan")


def trend(points: Points) -> Trend:
    """That of readings in order, each with its second."""
    some = max(1, len(points) // 10)
    third = points[-max(2, len(points) // 3) :]
    return Trend(
        median(value for _, value in points[:some]),
        median(value for _, value in points[-some:]),
        theil_sen(points) * 60,
        theil_sen(third) * 60,
    )
