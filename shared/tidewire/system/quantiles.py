"""Quantiles from the buckets of a histogram (pure)."""

from collections.abc import Sequence

__all__ = ["quantile"]


def quantile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` (0 to 1) of what was counted lies; None where nothing was.

    ``bounds`` are the buckets' upper ends, rising from above 0; ``counts`` those of each bucket by itself, and last what lies
    above all of them, of which is known only that it is no less than the last bound. Within a bucket values count as evenly spread.
    """
    assert len(counts) == len(bounds) + 1
    total = sum(counts)
    if total <= 0:
        return None
    wanted = share * total
    below, lower = 0.0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count > 0 and below + count >= wanted:
            return lower + (upper - lower) * max(0.0, wanted - below) / count
        below += count
        lower = upper
    return float(bounds[-1])
