"""The figures of a gateway node's record in `tidewire.system` (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidewire.system.quantiles import quantile

__all__ = ["Lease", "Readings", "gateway_figures"]

_FRESHNESS: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Lease:
    """``slot`` None: not known, or none is held."""

    is_held: bool
    slot: int | None


@dataclass(frozen=True, slots=True)
class Readings:
    """What a node says of itself at a moment; ``rates`` a second, ``freshness`` the buckets' growth since the last record."""

    open: int
    congested: int
    handshaking: int
    subscriptions: Mapping[str, int]
    feeds: int
    partitions: int
    lag_records: int
    lag_seconds: float
    rates: Mapping[str, float]
    freshness_bounds: Sequence[float]
    freshness: Sequence[float]
    top_feeds: Sequence[Mapping[str, Any]]
    slow: Sequence[Mapping[str, Any]]
    resumes: Mapping[str, int]
    handshakes: Mapping[str, int]
    errors: Mapping[str, int]
    closes: Mapping[str, int]
    lease: Lease | None
    users: int


def gateway_figures(read: Readings) -> dict[str, Any]:
    """As docs/observability.md writes them."""
    lease = read.lease
    return {
        "connections": {
            "open": read.open,
            "congested": read.congested,
            "handshaking": read.handshaking,
        },
        "subscriptions": dict(read.subscriptions),
        "feeds": read.feeds,
        "partitions": {
            "read": read.partitions,
            "lag_records": read.lag_records,
            "lag_seconds": round(read.lag_seconds, 3),
        },
        "rates": dict(read.rates),
        "freshness": {
            name: _rounded(quantile(read.freshness_bounds, read.freshness, share))
            for name, share in _FRESHNESS.items()
        },
        "top_feeds": list(read.top_feeds),
        "slow": list(read.slow),
        "resumes": dict(read.resumes),
        "handshakes": dict(read.handshakes),
        "errors": dict(read.errors),
        "closes": dict(read.closes),
        "lease": None if lease is None else {"held": lease.is_held, "slot": lease.slot},
        "users": read.users,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
