"""A process's metrics: the table of `metric_table` as prometheus_client objects with bound children."""

from itertools import product
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase

from .._version import __version__
from .metric_table import OTHER, PREFIX, Kind, MetricSpec, specs_of
from .tallies import Histogram, Tally

__all__ = ["Metrics", "create_metrics", "label_or_other"]

_Labels = tuple[tuple[str, str], ...]
_Child = MetricWrapperBase | Tally | Histogram


class Metrics:
    """Counters, gauges and histograms by the table's names, every child bound (and so shown) from the start.

    Look a child up once and keep it; asking for a name or a label value that the table does not
    have is a bug (``KeyError``). Tallies (counters without labels) and histograms are the event loop's: no
    other thread may count with them.
    """

    def __init__(self, service: str, specs: tuple[MetricSpec, ...]) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._children: dict[tuple[Kind, str, _Labels], _Child] = {}
        for spec in specs:
            self._declare(spec)
        build = Gauge(
            f"{PREFIX}build_info",
            "What runs here",
            ["service", "version"],
            registry=self._registry,
        )
        build.labels(service, __version__).set(1)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def counter(self, name: str, **labels: str) -> Counter:
        """A counter with labels."""
        return cast("Counter", self._children[Kind.COUNTER, name, tuple(sorted(labels.items()))])

    def tally(self, name: str) -> Tally:
        """A counter without labels."""
        return cast("Tally", self._children[Kind.COUNTER, name, ()])

    def gauge(self, name: str) -> Gauge:
        """A gauge without labels."""
        return cast("Gauge", self._children[Kind.GAUGE, name, ()])

    def histogram(self, name: str) -> Histogram:
        return cast("Histogram", self._children[Kind.HISTOGRAM, name, ()])

    def counters(self, name: str, label: str) -> dict[str, Counter]:
        """All children of a counter with one label, by the label's value."""
        children = self._by_value(Kind.COUNTER, name, label)
        return {value: cast("Counter", child) for value, child in children.items()}

    def gauges(self, name: str, label: str) -> dict[str, Gauge]:
        """All children of a gauge with one label, by the label's value."""
        children = self._by_value(Kind.GAUGE, name, label)
        return {value: cast("Gauge", child) for value, child in children.items()}

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition that an ``Accept`` header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _by_value(self, kind: Kind, name: str, label: str) -> dict[str, _Child]:
        return {
            labels[0][1]: child
            for (of_kind, owner, labels), child in self._children.items()
            if of_kind is kind and owner == name and [k for k, _ in labels] == [label]
        }

    def _declare(self, spec: MetricSpec) -> None:
        name = PREFIX + spec.name
        if not spec.labels:
            self._children[spec.kind, spec.name, ()] = self._unlabelled(spec, name)
            return
        assert spec.kind is not Kind.HISTOGRAM, "a histogram has no labels"
        make = Counter if spec.kind is Kind.COUNTER else Gauge
        family = make(name, spec.help, list(spec.labels), registry=self._registry)
        for values in product(*spec.labels.values()):
            labels = tuple(sorted(zip(spec.labels, values, strict=True)))
            self._children[spec.kind, spec.name, labels] = family.labels(*values)

    def _unlabelled(self, spec: MetricSpec, name: str) -> _Child:
        if spec.kind is Kind.GAUGE:
            return Gauge(name, spec.help, registry=self._registry)
        if spec.kind is Kind.COUNTER:
            child: Tally | Histogram = Tally(name, spec.help)
        else:
            child = Histogram(name, spec.help, spec.buckets)
        self._registry.register(child)
        return child


def create_metrics(service: str) -> Metrics:
    """The metrics of one process of ``service`` (``gateway``, ``publisher``), in a registry of their own."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library; all begin with the process
    return Metrics(service, specs_of(service))


def label_or_other(children: dict[str, Counter], value: str) -> Counter:
    """The child for ``value``, or the one that counts everything the fixed set does not name."""
    return children.get(value) or children[OTHER]
