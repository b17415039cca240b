"""How often the same warning is told (pure)."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

__all__ = ["RepeatLimiter"]


@dataclass(slots=True)
class _Window:
    started_at: float
    told: int = 0
    held_back: int = 0


class RepeatLimiter:
    """Lets ``limit`` equal messages through per ``window`` seconds and counts the others.

    At most ``max_keys`` different messages are remembered; the one that was quiet for longest is
    forgotten, and so told again.
    """

    def __init__(self, *, limit: int = 5, window: float = 60.0, max_keys: int = 1000) -> None:
        self._limit = limit
        self._window = window
        self._max_keys = max_keys
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def admit(self, key: Hashable, now: float) -> int | None:
        """None: hold this one back. Else tell it, and that so many were held back before."""
        found = self._windows.get(key)
        if found is None or now - found.started_at >= self._window:
            held_back = found.held_back if found else 0
            found = self._windows[key] = _Window(now)
        else:
            held_back = 0
        self._windows.move_to_end(key)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)
        if found.told >= self._limit:
            found.held_back += 1
            return None
        found.told += 1
        return held_back
