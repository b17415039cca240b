"""How long records may gather before they are read: as long as nobody who is given some is in a hurry."""

from collections.abc import Callable, Iterable

__all__ = ["Patience"]

_SHARE = 0.1
"""Of the shortest interval: what a record waits for others is little beside what it waits for its flush."""
_MOST = 0.025
"""Seconds, whatever the interval: so long waits a record of which nobody knew that it would come."""
_LASTING = 0.25
"""Seconds for which a topic that was heard has a say."""


class Patience:
    """Of all who read: the least of those whose topics were heard lately.

    ``shortest_interval`` says how long (seconds) the feed of a topic that is in the greatest hurry goes
    between two flushes. Times are the caller's clock, in seconds.
    """

    def __init__(self, shortest_interval: Callable[[str], float]) -> None:
        self._shortest_interval = shortest_interval
        self._heard_at: dict[str, float] = {}

    def heard(self, topics: Iterable[str], now: float) -> None:
        """Records of these topics were just read."""
        for topic in topics:
            self._heard_at[topic] = now

    def gather(self, now: float) -> float:
        """Seconds that the next records may gather; 0 where none came lately."""
        for topic in [t for t, at in self._heard_at.items() if now - at > _LASTING]:
            del self._heard_at[topic]
        shortest = min(map(self._shortest_interval, self._heard_at), default=0.0)
        return min(_MOST, _SHARE * shortest)
