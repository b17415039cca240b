"""Write docs/metrics.md from the metric table: ``make metrics-doc``."""

import sys
from collections.abc import Iterator

from .metric_table import EVERY_SERVICE, METRICS, PREFIX, Kind, MetricSpec, specs_of

__all__ = ["COMMAND", "metrics_page"]

COMMAND = "make metrics-doc"

_HEAD = f"""\
# Metrics

Every metric of every service; `{COMMAND}` writes this page from `shared/tidewire/telemetry/metric_table.py`.

Each process serves its own on `/metrics`, on its internal port where it has one, in Prometheus' text format or, for whoever asks for it, in OpenMetrics, which alone
has exemplars (Prometheus asks for it, and keeps them with `--enable-feature=exemplar-storage`). Every series is there from the start. A label takes the values
that stand here and no others: nothing that users, channels or events are called ever becomes one, so a process has as many series as is told here,
whatever it serves. Beside them come `{PREFIX}build_info` (`service`, `version`) and the client library's own `process_…` and `python_…`.

Durations are in seconds, times of events are their records' timestamps in Kafka. Counters begin at 0 with the process.
"""


def metrics_page() -> str:
    """The page, ending with a line's end."""
    services = list(
        dict.fromkeys(spec.service for spec in METRICS if spec.service != EVERY_SERVICE)
    )
    return "\n".join([_HEAD, *(line for name in services for line in _service(name)), *_every()])


def _service(name: str) -> Iterator[str]:
    series = sum(spec.series for spec in specs_of(name))
    yield f"## {name.capitalize()}\n"
    yield f"{series} series a process.\n"
    yield from _table(name)


def _every() -> Iterator[str]:
    yield "## Every service\n"
    yield from _table(EVERY_SERVICE)


def _table(service: str) -> Iterator[str]:
    yield "| name | type | labels | unit | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for spec in METRICS:
        if spec.service == service:
            cells = (f"`{PREFIX}{spec.name}`", spec.kind.value, _labels(spec), spec.unit)
            yield f"| {' | '.join(cells)} | {_meaning(spec)} |"
    yield ""


def _labels(spec: MetricSpec) -> str:
    if spec.kind is Kind.HISTOGRAM:
        return "`le`: " + ", ".join(f"{bound:g}" for bound in spec.buckets)
    return "; ".join(
        f"`{label}`: " + ", ".join(f"`{value}`" for value in values)
        for label, values in spec.labels.items()
    )


def _meaning(spec: MetricSpec) -> str:
    return f"{spec.help}. {spec.note}".rstrip()


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
