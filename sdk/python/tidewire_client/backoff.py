"""How long to wait before the next attempt: full jitter, doubling, capped; pure."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff", "BackoffLimits"]

_MOST_RETRY_AFTER = 300.0  # a server that asks for more is misconfigured; come and hear it again


@dataclass(frozen=True, slots=True)
class BackoffLimits:
    """``first`` and ``most`` bound the window in seconds.

    A connection that lived for ``stable_window`` starts the next series afresh; one that ended sooner
    continues it, so a server that accepts and closes is not hammered.
    """

    first: float = 0.5
    most: float = 20.0
    stable_window: float = 10.0


class Backoff:
    """One series of attempts. ``random`` gives numbers from 0 to 1."""

    def __init__(self, limits: BackoffLimits, random: Callable[[], float]) -> None:
        self._limits = limits
        self._random = random
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """Delays handed out since the last stable connection."""
        return self._attempts

    def next_delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait: anything up to the window, never less than what the server asked for."""
        window = min(self._limits.most, self._limits.first * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return min(retry_after or 0.0, _MOST_RETRY_AFTER) + self._random() * window

    def connection_lived(self, seconds: float) -> None:
        if seconds >= self._limits.stable_window:
            self.reset()

    def reset(self) -> None:
        """What was asked for was granted: the next series starts afresh."""
        self._attempts = 0
