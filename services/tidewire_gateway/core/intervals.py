"""Flush intervals are rounded up to a few steps, so that clients share feeds."""

from bisect import bisect_left

__all__ = ["grant_interval_ms"]

_STEPS = (0, 50, 100, 250, 500)
_DECADE = (1000, 2000, 5000)
_LONGEST_MS = 3_600_000


def _steps() -> tuple[int, ...]:
    decades = (step * scale for scale in (1, 10, 100, 1000) for step in _DECADE)
    return (*_STEPS, *(step for step in decades if step < _LONGEST_MS), _LONGEST_MS)


_GRANTED = _steps()


def grant_interval_ms(requested: int | None, minimum: int) -> int:
    """The shortest step that is neither below what was asked nor below the stream's minimum."""
    wanted = max(requested or 0, minimum)
    return _GRANTED[min(bisect_left(_GRANTED, wanted), len(_GRANTED) - 1)]
