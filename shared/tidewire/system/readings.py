"""Read what metrics say at the moment, by what `prometheus_client` has for collectors."""

from collections.abc import Iterator, Mapping

from prometheus_client.registry import Collector

__all__ = ["bucket_counts", "totals_of", "value_of"]

_UNWANTED = ("_created", "_bucket", "_count", "_sum")


def value_of(metric: Collector) -> float:
    """Of a gauge, a tally, or a counter's child."""
    return next(_values(metric))


def totals_of(children: Mapping[str, Collector]) -> dict[str, int]:
    """Of a counter's children, by their label."""
    return {label: int(value_of(child)) for label, child in children.items()}


def bucket_counts(histogram: Collector) -> tuple[list[float], list[float]]:
    """Upper ends of the buckets but the last, which has none; and the counts of each bucket by itself."""
    ends, reached = [], []
    for family in histogram.collect():
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                ends.append(float(sample.labels["le"]))
                reached.append(sample.value)
    counts = [here - before for here, before in zip(reached, [0.0, *reached], strict=False)]
    return ends[:-1], counts


def _values(metric: Collector) -> Iterator[float]:
    for family in metric.collect():
        for sample in family.samples:
            if not sample.name.endswith(_UNWANTED):
                yield sample.value
