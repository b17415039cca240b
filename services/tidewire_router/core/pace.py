"""At most so many a second (pure)."""

__all__ = ["Pace"]


class Pace:
    """Counts anew each second that begins; ``most`` of one second are let pass."""

    __slots__ = ("_most", "_passed", "_second")

    def __init__(self, most: int) -> None:
        self._most = most
        self._second: int | None = None
        self._passed = 0

    def passes(self, now: float) -> bool:
        """``now`` in seconds, of any clock."""
        second = int(now)
        if second != self._second:
            self._second, self._passed = second, 0
        self._passed += 1
        return self._passed <= self._most
