"""So many handshakes a second, and when those who are refused have their turn."""

from typing import Final

from .allowance import Allowance

__all__ = ["HandshakeRate"]

_LONGEST: Final = 60.0
_SLACK: Final = 1.1
"""Times the room that those who wait need: who comes back finds others there."""


class HandshakeRate:
    """``per_second`` handshakes, after a rest ``burst`` at once."""

    __slots__ = ("_allowance", "_interval", "_turn")

    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._allowance = Allowance(burst, burst / per_second, now)
        self._interval = _SLACK / per_second
        self._turn = now

    def take(self, now: float) -> float:
        """Let one in; returns 0, or after how many seconds it should come back, which is a turn of its own."""
        return self.turn(now) if self._allowance.take(now) else 0.0

    def turn(self, now: float) -> float:
        """The next turn, in seconds, for one that cannot be let in now.

        Turns follow one another as fast as there is room for them. Where they reach a minute ahead, its later half is given out again.
        """
        self._turn = max(now, self._turn) + self._interval
        if self._turn - now > _LONGEST:
            self._turn = now + _LONGEST / 2
        return self._turn - now
