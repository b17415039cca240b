"""When a published key set is fetched, and what becomes of a token whose key it does not have (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .key_ring import Algorithm, VerificationKey

__all__ = ["JwksState", "JwksTimes", "Verdict"]

_FIRST_PAUSE: Final = 1.0
_DOUBLINGS: Final = 10
_SPREAD: Final = 0.1
_MOST_ASKED: Final = 1024


@dataclass(frozen=True, slots=True)
class JwksTimes:
    """Seconds: between two fetches, for one, and of rest after each before an unknown key is the reason of another."""

    interval: float = 300.0
    timeout: float = 5.0
    cooldown: float = 30.0


class Verdict(Enum):
    """What becomes of a token that no key fitted."""

    WAIT = auto()
    """A fetch is under way, or due: it tells."""
    LATER = auto()
    """Nobody can tell yet, and it is too early to ask again."""
    NO = auto()
    """The set was fetched since the key was first missed, and does not have it."""
    WRONG = auto()
    """The key is known, or the token names none: the signature is wrong."""


class JwksState:
    """Keys stay until a newer set was had: an issuer that is away takes none of them along.

    Times are monotonic seconds; ``chance``: a draw from [0, 1).
    """

    __slots__ = (
        "_asked",
        "_by_algorithm",
        "_by_name",
        "_ended_at",
        "_failures",
        "_is_fetching",
        "_keys",
        "_missing",
        "_times",
        "due_at",
    )

    def __init__(self, times: JwksTimes, now: float) -> None:
        self._times = times
        self._keys: frozenset[VerificationKey] | None = None
        self._by_name: dict[str, tuple[VerificationKey, ...]] = {}
        self._by_algorithm: dict[Algorithm, tuple[VerificationKey, ...]] = {}
        self._is_fetching = False
        self._ended_at = now - times.cooldown
        self._failures = 0
        self._asked: set[str] = set()
        self._missing: frozenset[str] = frozenset()
        self.due_at = now

    @property
    def is_known(self) -> bool:
        """Whether a set was ever had."""
        return self._keys is not None

    def held(self, algorithm: Algorithm, name: str | None) -> tuple[VerificationKey, ...]:
        """Those of this name, or all of the algorithm for a token that names none."""
        if name is None:
            return self._by_algorithm.get(algorithm, ())
        return tuple(key for key in self._by_name.get(name, ()) if key.algorithm is algorithm)

    def look_up(self, name: str | None, now: float) -> Verdict:
        """No key fitted a token that names ``name``; a fetch may become due by it."""
        is_coming = self._is_fetching or self.due_at <= now
        if self._keys is None:
            return Verdict.WAIT if is_coming else Verdict.LATER
        if name is None or name in self._by_name:
            return Verdict.WRONG
        has_rested = now >= self._ended_at + self._times.cooldown
        if name in self._missing and not has_rested:
            return Verdict.NO
        if not (is_coming or has_rested) or len(self._asked) >= _MOST_ASKED:
            return Verdict.LATER
        self._asked.add(name)
        if not is_coming:
            self.due_at = now
        return Verdict.WAIT

    def retry_after(self, now: float) -> float:
        """Seconds until it is worth to ask again."""
        if self._keys is None:
            return max(_FIRST_PAUSE, self.due_at - now)
        return max(_FIRST_PAUSE, self._ended_at + self._times.cooldown - now)

    def begin(self) -> None:
        """A fetch begins; there is one at a time."""
        assert not self._is_fetching
        self._is_fetching = True

    def succeed(self, keys: Iterable[VerificationKey], now: float, chance: float) -> bool:
        """The fetch brought ``keys``; returns whether one that was held before is withdrawn."""
        before, self._keys = self._keys, frozenset(keys)
        self._by_name, self._by_algorithm = {}, {}
        for key in self._keys:
            held = self._by_algorithm.get(key.algorithm, ())
            self._by_algorithm[key.algorithm] = (*held, key)
            if key.name is not None:
                self._by_name[key.name] = (*self._by_name.get(key.name, ()), key)
        self._missing = frozenset(self._asked - self._by_name.keys())
        self._failures = 0
        self._end(now, self._times.interval * (1 - _SPREAD * chance))
        return before is not None and not before <= self._keys

    def fail(self, now: float, chance: float) -> None:
        """The fetch brought nothing: the next one follows with full jitter, and what is held is held."""
        self._failures += 1
        longest = _FIRST_PAUSE * 2.0 ** min(self._failures - 1, _DOUBLINGS)
        self._end(now, min(longest, self._times.cooldown, self._times.interval) * chance)

    def _end(self, now: float, pause: float) -> None:
        self._is_fetching = False
        self._asked = set()
        self._ended_at = now
        self.due_at = now + pause
