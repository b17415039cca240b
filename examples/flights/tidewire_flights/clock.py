"""Simulated time: how far the replay's clock moves in a stretch of real time."""

from dataclasses import dataclass, replace
from typing import Final

__all__ = ["SimClock"]

# A machine that slept or stalled longer goes on from where it was, instead of a burst.
_MAX_ELAPSED: Final = 1.0


@dataclass(frozen=True, slots=True)
class SimClock:
    """``at`` is simulated Unix time, ``speed`` simulated seconds per real one."""

    at: float
    speed: float

    def advanced(self, elapsed: float) -> "SimClock":
        return replace(self, at=self.at + min(max(elapsed, 0.0), _MAX_ELAPSED) * self.speed)

    def moved_to(self, at: float) -> "SimClock":
        return replace(self, at=at)
