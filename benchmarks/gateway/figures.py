"""What was measured: samples of each run, and the figures that are held against targets (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = ["Figure", "Goal", "Kind", "Sample", "Spread", "ratios", "spread_of"]


class Goal(StrEnum):
    LEAST = "at least"
    MOST = "at most"


class Kind(StrEnum):
    RATIO = "ratio"  # of two sides of the same run: comparable between machines
    ABSOLUTE = "absolute"


class Spread(NamedTuple):
    least: float
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender under one load in one run; ``values`` by name, with the unit in the name."""

    load: str
    contender: str
    run: int
    values: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: a value a run, with its target.

    ``sides`` says what each side of a ratio was, as text. ``target`` None: only told.
    """

    id: str
    name: str
    values: Sequence[float]
    unit: str
    kind: Kind
    goal: Goal = Goal.LEAST
    target: float | None = None
    stretch: float | None = None
    sides: Mapping[str, str] = field(default_factory=dict)

    @property
    def spread(self) -> Spread:
        return spread_of(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the median reaches the target; None where there is none."""
        if self.target is None:
            return None
        median = self.spread.median
        return median >= self.target if self.goal is Goal.LEAST else median <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), **self.spread._asdict(), "is_met": self.is_met}


def spread_of(values: Iterable[float]) -> Spread:
    """Least, median and most of at least one value; of an even number the median is the mean of two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else sum(ordered[middle - 1 : middle + 1]) / 2
    return Spread(ordered[0], median, ordered[-1])


def ratios(
    samples: Sequence[Sample],
    value: str,
    *,
    load: str,
    of: str,
    to: str,
    to_load: str | None = None,
) -> list[float]:
    """``value`` of one contender divided by that of another, run by run; empty where one is missing."""
    above = _by_run(samples, value, load, of)
    below = _by_run(samples, value, to_load or load, to)
    return [above[run] / below[run] for run in sorted(above.keys() & below.keys()) if below[run]]


def _by_run(samples: Sequence[Sample], value: str, load: str, contender: str) -> dict[int, float]:
    return {
        s.run: s.values[value]
        for s in samples
        if s.load == load and s.contender == contender and value in s.values
    }
