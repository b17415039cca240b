"""Read a Prometheus exposition (pure)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Exposition", "parse"]

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exposition:
    """Samples by name and labels."""

    samples: Mapping[tuple[str, Labels], float]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all children of ``tidewire_<name>`` that carry ``labels``; 0 where there is none."""
        wanted = set(labels.items())
        return sum(
            value
            for (sample, carried), value in self.samples.items()
            if sample == f"tidewire_{name}" and wanted <= carried
        )

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """The children of ``tidewire_<name>`` by one of their labels."""
        found: dict[str, float] = {}
        for (sample, carried), value in self.samples.items():
            if sample == f"tidewire_{name}":
                key = dict(carried).get(label, "")
                found[key] = found.get(key, 0.0) + value
        return found


def parse(text: str) -> Exposition:
    return Exposition(dict(_samples(text.splitlines())))


def _samples(lines: Iterable[str]) -> Iterable[tuple[tuple[str, Labels], float]]:
    for line in lines:
        if line.startswith("#") or not (found := _SAMPLE.match(line)):
            continue
        labels = frozenset(_LABEL.findall(found["labels"] or ""))
        yield (found["name"], labels), float(found["value"])


def quantile_bound(before: Exposition, after: Exposition, name: str, share: float) -> float:
    """The upper bound of the histogram bucket that holds the ``share`` quantile of what came in between."""
    earlier = before.by_label(f"{name}_bucket", "le")
    counts = sorted(
        (float(bound), count - earlier.get(bound, 0.0))
        for bound, count in after.by_label(f"{name}_bucket", "le").items()
    )
    if not counts or counts[-1][1] <= 0:
        return float("nan")
    wanted = counts[-1][1] * share
    return next(bound for bound, count in counts if count >= wanted)
