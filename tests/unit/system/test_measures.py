"""Quantiles from buckets, rates from totals, readings from metrics."""

from bisect import bisect_left
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.system.quantiles import quantile
from tidewire.system.rates import BucketGrowth, Rates
from tidewire.system.readings import bucket_counts, totals_of, value_of
from tidewire.telemetry.metrics import create_metrics
from tidewire.telemetry.tallies import Histogram

BOUNDS = (0.1, 1.0, 10.0)
SHARES = st.floats(0, 1)


def counted(values: Sequence[float]) -> list[float]:
    counts = [0.0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    return counts


def test_nothing_counted_has_no_quantiles() -> None:
    assert quantile(BOUNDS, [0, 0, 0, 0], 0.5) is None


def test_quantile_lies_evenly_within_its_bucket() -> None:
    assert quantile(BOUNDS, [0, 10, 0, 0], 0.5) == pytest.approx(0.55)
    assert quantile(BOUNDS, [10, 0, 0, 0], 0.5) == pytest.approx(0.05)
    assert quantile(BOUNDS, [5, 5, 0, 0], 0.5) == pytest.approx(0.1)
    assert quantile(BOUNDS, [1, 0, 0, 1], 1.0) == 10.0


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=50), SHARES)
def test_quantile_is_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    found = quantile(BOUNDS, counted(values), share)
    assert found is not None
    ordered = sorted(values)
    true = ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)]
    bucket = bisect_left(BOUNDS, true)
    lower = 0.0 if bucket == 0 else BOUNDS[bucket - 1]
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    assert min(lower, upper) - 1e-9 <= found <= upper + 1e-9


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4), SHARES, SHARES)
def test_larger_shares_have_larger_quantiles(counts: list[int], one: float, other: float) -> None:
    lower = quantile(BOUNDS, counts, min(one, other))
    upper = quantile(BOUNDS, counts, max(one, other))
    if lower is None or upper is None:
        assert sum(counts) == 0
    else:
        assert lower <= upper + 1e-9


def test_rates_are_growth_a_second() -> None:
    rates = Rates(100.0)
    assert rates.look({"a": 10, "b": 0}, 102.0) == {"a": 5.0, "b": 0.0}
    assert rates.look({"a": 10, "b": 3}, 104.0) == {"a": 0.0, "b": 1.5}
    assert rates.look({"a": 4, "b": 3}, 105.0) == {"a": 4.0, "b": 0.0}  # it began anew
    assert rates.look({"a": 9, "b": 9}, 105.0) == {"a": 0.0, "b": 0.0}  # no time has passed


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), max_size=20))
def test_growth_of_buckets_adds_up_to_what_was_counted(steps: list[list[int]]) -> None:
    growth, total, found = BucketGrowth(), [0, 0, 0], [0.0, 0.0, 0.0]
    for step in steps:
        total = [a + b for a, b in zip(total, step, strict=True)]
        found = [a + b for a, b in zip(found, growth.look(total), strict=True)]
    assert found == total


def test_metrics_are_read_as_they_stand() -> None:
    metrics = create_metrics("gateway")
    metrics.tally("events_consumed_total").inc(3)
    metrics.gauge("connections").set(7)
    metrics.counter("handshakes_total", outcome="accepted").inc(2)
    assert value_of(metrics.tally("events_consumed_total")) == 3
    assert value_of(metrics.gauge("connections")) == 7
    totals = totals_of(metrics.counters("handshakes_total", "outcome"))
    assert totals["accepted"] == 2
    assert totals["no_hello"] == 0


@given(st.lists(st.floats(0.001, 100), max_size=50))
def test_buckets_are_read_each_by_itself(values: list[float]) -> None:
    histogram = Histogram("h", "…", BOUNDS)
    for value in values:
        histogram.observe(value)
    assert bucket_counts(histogram) == (list(BOUNDS), counted(values))
