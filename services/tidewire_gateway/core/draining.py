"""How a node lets its clients go: the stages of a drain, and the moment at which each client leaves."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Departure", "DrainStage", "departures"]


class DrainStage(Enum):
    SERVING = auto()
    LEAVING = auto()
    """Not ready any more; load balancers learn of it, and whoever still comes is served."""
    MOVING = auto()
    """Nobody new is accepted, and those who are here are told to move."""


@dataclass(frozen=True, slots=True)
class Departure:
    """When a client is told to move, and when it is moved; seconds from the beginning of the window."""

    goaway_at: float
    close_at: float


def departures(count: int, window: float) -> Iterator[Departure]:
    """One for each of ``count`` clients, in order of both moments.

    They are told evenly over the first half of ``window`` and moved evenly over the second: they come back
    spread out, and each has at least half of the window to do so.
    """
    half = window / 2
    for index in range(count):
        yield Departure(half * index / count, half + half * (index + 1) / count)
