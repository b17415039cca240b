"""Queries that several panels have alike (pure)."""

from collections.abc import Sequence

from .shapes import Query
from .terms import per_second, quantile

__all__ = ["ALARMS", "BY_INSTANCE", "apart", "quantiles"]

ALARMS = 'ALERTS{alertname=~"Tidewire.+", alertstate="firing"}'

BY_INSTANCE = "{{instance}}"


def quantiles(histogram: str, *, has_exemplars: bool = False) -> Sequence[Query]:
    """Median and 99th percentile."""
    return [
        Query(quantile(share, histogram), f"p{share * 100:g}", has_exemplars=has_exemplars)
        for share in (0.5, 0.99)
    ]


def apart(label: str, counter: str) -> Sequence[Query]:
    """A counter's rates apart by a label, without the values that do not occur."""
    return [Query(f"{per_second(counter, label)} > 0", f"{{{{{label}}}}}")]
