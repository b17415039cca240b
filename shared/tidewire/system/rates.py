"""What happened between two looks at growing totals: rates, and the buckets of a histogram (pure)."""

from collections.abc import Mapping, Sequence

__all__ = ["BucketGrowth", "Rates"]


class Rates:
    """Growth a second of named totals since the last look; the first look is measured from 0 at ``now``."""

    def __init__(self, now: float) -> None:
        self._seen_at = now
        self._seen: Mapping[str, float] = {}

    def look(self, totals: Mapping[str, float], now: float) -> dict[str, float]:
        """``now`` in seconds. A total that has shrunk began anew: all of it is growth."""
        passed = now - self._seen_at
        grown = {name: _growth(total, self._seen.get(name, 0)) for name, total in totals.items()}
        self._seen, self._seen_at = dict(totals), now
        if passed <= 0:
            return dict.fromkeys(totals, 0.0)
        return {name: round(growth / passed, 3) for name, growth in grown.items()}


class BucketGrowth:
    """What a histogram's buckets grew by since the last look."""

    def __init__(self) -> None:
        self._seen: Sequence[float] = ()

    def look(self, counts: Sequence[float]) -> list[float]:
        """``counts`` of each bucket by itself."""
        seen = self._seen or [0.0] * len(counts)
        self._seen = list(counts)
        return [_growth(count, before) for count, before in zip(counts, seen, strict=True)]


def _growth(total: float, before: float) -> float:
    return total - before if total >= before else total
