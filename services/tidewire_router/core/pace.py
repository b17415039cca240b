"""At most so many a second (pure)."""

__all__ = ["Pace"]


class Pace:
    """Counts anew each second that begins; ``most`` of one second may be taken."""

    __slots__ = ("_most", "_second", "_taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._second: int | None = None
        self._taken = 0

    def has_room(self, now: float) -> bool:
        """Whether one more may be taken; ``now`` in seconds, of any clock."""
        second = int(now)
        if second != self._second:
            self._second, self._taken = second, 0
        return self._taken < self._most

    def take(self) -> None:
        """One of the second that `has_room` was asked for last."""
        self._taken += 1
