"""How long a process that ended by itself rests before it is started again (pure)."""

from typing import Final

__all__ = ["MOST_PAUSE", "STEADY_AFTER", "longest_pause"]

FIRST_PAUSE: Final = 0.5
MOST_PAUSE: Final = 8.0
STEADY_AFTER: Final = 20.0
"""Seconds; the end of one that was up for so long counts as its first."""
DOUBLINGS: Final = 10


def longest_pause(ends: int) -> float:
    """Seconds after end number ``ends`` in a row, at most; the pause is drawn from below it."""
    return min(MOST_PAUSE, FIRST_PAUSE * 2.0 ** min(ends - 1, DOUBLINGS))
