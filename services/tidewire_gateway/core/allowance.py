"""A token bucket: so many messages a window, bursts up to the whole window's worth."""

__all__ = ["Allowance"]


class Allowance:
    """``capacity`` messages per ``window`` seconds, refilled evenly; ``extra`` ones once, at the start."""

    __slots__ = ("_capacity", "_left", "_rate", "_seen_at")

    def __init__(self, capacity: int, window: float, now: float, *, extra: int = 0) -> None:
        self._capacity = float(capacity)
        self._rate = capacity / window
        self._left = self._capacity + extra
        self._seen_at = now

    def take(self, now: float, count: int = 1) -> float:
        """Use ``count``, or none; returns 0, or after how many seconds there will be so many again."""
        refilled = min(self._capacity, self._left + (now - self._seen_at) * self._rate)
        self._left = max(self._left, refilled)
        self._seen_at = now
        if self._left >= count:
            self._left -= count
            return 0.0
        return (count - self._left) / self._rate
