"""What was measured, as figures: of one site, or of all together (pure)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..load_report import Latency, Report
from .probe import Granted
from .publishing import Published
from .sites import Site

__all__ = [
    "ChurnFigures",
    "ChurnSample",
    "Delay",
    "Figures",
    "LoadCost",
    "NodeCost",
    "Outcome",
    "Sample",
    "Spent",
    "churn_figures",
    "figures_of",
]


K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a site's nodes used in the measured time; ``resident_idle``: their memory before the connections."""

    cpu_seconds: float
    resident_idle: int
    resident_held: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One site: ``window`` is of the measured time, ``settled`` also has what arrived soon after it.

    ``spent`` None: ``unmetered`` says why.
    """

    site: Site
    connections: int
    window: Report
    settled: Report
    spent: Spent | None
    unmetered: str = ""


@dataclass(frozen=True, slots=True)
class ChurnSample:
    """One site while connections came and went, ``under_way`` at any time."""

    site: Site
    under_way: int
    report: Report
    cpu_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    granted: Granted
    samples: Sequence[Sample] = ()
    published: Published | None = None
    churn: Sequence[ChurnSample] = ()
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Of several sites the slowest one's: no quantile of all is worse."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """``cores``: processor seconds a second. Per delivery (None without any): all that a node did, by frames."""

    cpu_seconds: float
    cores: float
    cpu_us_per_delivery: float | None
    resident_bytes: int
    bytes_per_connection: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCost:
    """The load clients' own, one for each site; ``busiest_cores``: of the busiest."""

    cpu_seconds: float
    busiest_cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """``worst_by_connection`` is over the largest latency of each connection that got a frame.

    ``closes`` by close code: connections that ended meanwhile.
    """

    connections: int
    seconds: float
    frames: int
    events: int
    bytes: int
    frames_per_second: float
    events_per_second: float
    bytes_per_second: float
    events_per_frame: float
    latency: Delay
    worst_by_connection: Delay
    least_frames: int
    most_frames: int
    early_stamps: int
    closes: Mapping[int, int]
    nodes: NodeCost | None
    unmetered: str
    load: LoadCost


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnFigures:
    """Handshakes from connect() until subscribed; ``refused`` by HTTP status and other reasons.

    ``cores``: of the nodes; ``load_cores``: of the busiest load client.
    """

    seconds: float
    under_way: int
    handshakes: int
    per_second: float
    latency: Delay
    cpu_us_per_handshake: float | None
    cores: float | None
    load_cores: float
    refused: Mapping[str, int]


def figures_of(samples: Sequence[Sample]) -> Figures:
    """Sums over at least one sample."""
    seconds = max(s.window.seconds for s in samples)
    frames, events, size = (
        _total(samples, of) for of in (lambda r: r.frames, lambda r: r.events, lambda r: r.bytes)
    )
    groups = [s.settled.normal for s in samples]
    worst = [group.latency_most_by_connection for group in groups]
    return Figures(
        connections=sum(s.connections for s in samples),
        seconds=seconds,
        frames=frames,
        events=events,
        bytes=size,
        frames_per_second=frames / seconds,
        events_per_second=events / seconds,
        bytes_per_second=size / seconds,
        events_per_frame=events / frames if frames else 0.0,
        latency=_delay(group.latency for group in groups),
        worst_by_connection=Delay(
            count=sum(group.connections for group in groups),
            p50_ms=max(w.p50_ms for w in worst),
            p99_ms=max(w.p99_ms for w in worst),
            max_ms=max(w.max_ms for w in worst),
        ),
        least_frames=min(s.window.normal.least_frames for s in samples),
        most_frames=max(s.window.normal.most_frames for s in samples),
        early_stamps=sum(group.early_stamps for group in groups),
        closes=_counts(s.settled.closes for s in samples),
        nodes=_node_cost([s.spent for s in samples], seconds, frames, samples),
        unmetered=next((s.unmetered for s in samples if s.spent is None), ""),
        load=LoadCost(
            cpu_seconds=sum(s.window.cpu.total for s in samples),
            busiest_cores=max(s.window.cpu.total / s.window.seconds for s in samples),
        ),
    )


def churn_figures(samples: Sequence[ChurnSample]) -> ChurnFigures:
    """Sums over at least one sample."""
    reports = [sample.report for sample in samples]
    seconds = max(report.seconds for report in reports)
    count = sum(report.handshakes.count for report in reports)
    spent = [s.cpu_seconds for s in samples if s.cpu_seconds is not None]
    is_metered = len(spent) == len(samples)
    return ChurnFigures(
        seconds=seconds,
        under_way=sum(sample.under_way for sample in samples),
        handshakes=count,
        per_second=count / seconds,
        latency=_delay(report.handshakes.latency for report in reports),
        cpu_us_per_handshake=sum(spent) / count * 1e6 if is_metered and count else None,
        cores=sum(spent) / seconds if is_metered else None,
        load_cores=max(report.cpu.total / report.seconds for report in reports),
        refused=_counts(source for r in reports for source in (r.refused, r.errors)),
    )


def _total(samples: Sequence[Sample], of: Callable[[Report], int]) -> int:
    return sum(of(sample.window) for sample in samples)


def _delay(latencies: Iterable[Latency]) -> Delay:
    found = list(latencies)
    return Delay(
        count=sum(latency.count for latency in found),
        p50_ms=max(latency.p50_ms for latency in found),
        p99_ms=max(latency.p99_ms for latency in found),
        max_ms=max(latency.max_ms for latency in found),
    )


def _node_cost(
    spent: Sequence[Spent | None], seconds: float, frames: int, samples: Sequence[Sample]
) -> NodeCost | None:
    known = [one for one in spent if one is not None]
    if len(known) < len(spent):
        return None
    used = sum(one.cpu_seconds for one in known)
    grown = sum(one.resident_held - one.resident_idle for one in known)
    return NodeCost(
        cpu_seconds=used,
        cores=used / seconds,
        cpu_us_per_delivery=used / frames * 1e6 if frames else None,
        resident_bytes=sum(one.resident_held for one in known),
        bytes_per_connection=grown / sum(s.connections for s in samples),
    )


def _counts(sources: Iterable[Mapping[K, int]]) -> dict[K, int]:
    total: Counter[K] = Counter()
    for source in sources:
        total.update(source)
    return dict(total)
