"""What a client lived through, in figures: ages, silences, returns, outcomes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Figures", "quantile", "total"]


@dataclass(slots=True)
class Figures:
    """Durations in seconds.

    ``ages_ms`` counts events of `updates` by the time from their record's ``ts`` to their arrival.
    ``silence`` is the longest time without `updates` on a subscription, ``returns`` the times from the loss
    of a connection to the answer of a resume, ``not_live`` how long subscriptions were `stale` or `lagging`.
    """

    name: str = ""
    frames: int = 0
    bytes: int = 0
    events: int = 0
    coalesced: int = 0
    repeats: int = 0
    connections: int = 0
    refused: int = 0
    silence: float = 0.0
    not_live: float = 0.0
    ages_ms: Counter[int] = field(default_factory=Counter)
    returns: list[float] = field(default_factory=list)
    recovered: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Figures") -> None:
        self.frames += other.frames
        self.bytes += other.bytes
        self.events += other.events
        self.coalesced += other.coalesced
        self.repeats += other.repeats
        self.connections += other.connections
        self.refused += other.refused
        self.silence = max(self.silence, other.silence)
        self.not_live += other.not_live
        self.ages_ms.update(other.ages_ms)
        self.returns += other.returns
        for name in ("recovered", "gaps", "states", "codes", "errors"):
            getattr(self, name).update(getattr(other, name))

    def age(self, share: float) -> float:
        """Seconds that the ages of this share of the events do not exceed; 0 without events."""
        return quantile(self.ages_ms, share) / 1000

    def to_json(self) -> Mapping[str, Any]:
        returns = sorted(self.returns)
        return {
            "name": self.name,
            "frames": self.frames,
            "bytes": self.bytes,
            "events": self.events,
            "coalesced": self.coalesced,
            "repeats": self.repeats,
            "connections": self.connections,
            "refused": self.refused,
            "age_p50": self.age(0.5),
            "age_p99": self.age(0.99),
            "age_max": self.age(1.0),
            "silence_max": round(self.silence, 3),
            "not_live": round(self.not_live, 3),
            "return_p50": _at_share(returns, 0.5),
            "return_max": _at_share(returns, 1.0),
            "recovered": dict(self.recovered),
            "gaps": dict(self.gaps),
            "states": dict(self.states),
            "codes": dict(self.codes),
            "errors": dict(self.errors),
        }


def quantile(counts: Mapping[int, int], share: float) -> float:
    """The value that this share of all counted ones does not exceed; 0 of none."""
    wanted = share * sum(counts.values())
    seen = 0
    value = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            break
    return float(value)


def total(figures: Iterable[Figures]) -> Figures:
    """Those of all clients together."""
    whole = Figures("all")
    for one in figures:
        whole.add(one)
    return whole


def _at_share(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
