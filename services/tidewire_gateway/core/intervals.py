"""Flush intervals are rounded up to a few steps, so that clients share feeds."""

from bisect import bisect_left

__all__ = ["grant_interval_ms"]

_STEPS = (0, 50, 100, 250, 500)
_DECADE = (1000, 2000, 5000)
_LONGEST_MS = 3_600_000


def _steps() -> tuple[int, ...]:
    steps = list(_STEPS)
    scale = 1
    while _DECADE[0] * scale <= _LONGEST_MS:
        steps.extend(step * scale for step in _DECADE)
        scale *= 10
    return tuple(steps)


_GRANTED = _steps()


def grant_interval_ms(requested: int | None, minimum: int) -> int:
    """The shortest step that is neither below what was asked nor below the stream's minimum."""
    wanted = max(requested or 0, minimum)
    return _GRANTED[min(bisect_left(_GRANTED, wanted), len(_GRANTED) - 1)]
