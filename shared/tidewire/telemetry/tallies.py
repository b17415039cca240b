"""Counters and histograms that one thread fills, for a fraction of what the library's own cost.

Those lock for every count, since any thread may use them. Here the event loop counts and nobody else does; a scrape from
another thread reads what it finds.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

__all__ = ["Histogram", "Tally"]


class Tally(Collector):
    """A counter without labels; register it to have it shown."""

    def __init__(self, name: str, about: str) -> None:
        self._name = name
        self._about = about
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        self.value += amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._about, value=self.value)


class Histogram(Collector):
    """Without labels; ``bounds`` are the upper ends of its buckets, rising. Register it to have it shown.

    Each bucket keeps the last observation that belongs to a trace: its exemplar, which only OpenMetrics shows.
    """

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._about = about
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)

    def observe(self, value: float, trace_id: str | None = None) -> None:
        """Count ``value``; ``trace_id`` (32 hexadecimal digits) is that of the trace it was measured in."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        if trace_id is not None:
            self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time.time())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        ends = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        counts = accumulate(self._counts)
        buckets = [
            (end, count) if exemplar is None else (end, count, exemplar)
            for end, count, exemplar in zip(ends, counts, self._exemplars, strict=True)
        ]
        yield HistogramMetricFamily(self._name, self._about, buckets=buckets, sum_value=self._sum)
