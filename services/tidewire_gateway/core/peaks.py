"""The highest of recent measurements: what was bad a moment ago still counts, and decays."""

from collections import deque

__all__ = ["RecentPeak"]


class RecentPeak:
    """Holds at most what was measured within ``window`` seconds; instants are monotonic."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._candidates: deque[tuple[float, float]] = deque()  # ever later, ever lower

    def measured(self, value: float, now: float) -> None:
        while self._candidates and self._candidates[-1][1] <= value:
            self._candidates.pop()
        self._candidates.append((now, value))

    def at(self, now: float) -> float:
        """The highest value of the window that ends ``now``; 0 where nothing was measured."""
        while self._candidates and self._candidates[0][0] < now - self._window:
            self._candidates.popleft()
        return self._candidates[0][1] if self._candidates else 0.0
