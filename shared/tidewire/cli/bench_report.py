"""What `tidewire bench` shows to people: the way there, and the tables."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..bench.live.figures import Delay, Figures, Outcome, churn_figures, figures_of
from ..bench.live.plan import Plan
from ..protocol.codes import Mode
from .output import progress

__all__ = ["BenchProgress", "rows", "tables"]

NONE = "-"
LEAST_GROWTH = 0.5
"""KiB; less is memory that the nodes had before."""
Row = tuple[str, str, str]
"""What, the figure, and a word about it."""


class BenchProgress:
    """A line on stderr that says what goes on, while it goes on."""

    def __init__(self, *, is_shown: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=progress(),
            transient=True,
            disable=not is_shown,
        )

    def phase(self, text: str) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(text, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


def tables(plan: Plan, outcome: Outcome) -> Iterator[RenderableType]:
    """The figures of all, then those of each site where there are several."""
    granted = outcome.granted
    sites = len(outcome.samples)
    yield (
        f"[bold]{plan.channel}[/], mode {granted.mode}, interval {granted.interval_ms} ms; "
        f"{_addresses(sites)}"
    )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for row in rows(plan, outcome):
        table.add_row(*map(escape, row))
    yield table
    if sites > 1:
        yield ""
        yield _by_site(outcome)


def rows(plan: Plan, outcome: Outcome) -> list[Row]:
    """The lines of the first table."""
    figures = figures_of(outcome.samples)
    return [
        *_traffic(figures),
        *_delays(plan, figures),
        *_published(plan, outcome),
        *_costs(figures),
        *_handshakes(outcome),
    ]


def _traffic(figures: Figures) -> Iterator[Row]:
    yield "connections", f"{figures.connections:,}", f"measured for {figures.seconds:.1f} s"
    per_client = f"{_range(figures)} to each connection"
    yield "frames/s", _number(figures.frames_per_second), per_client
    yield "events/s", _number(figures.events_per_second), ""
    yield "MB/s", _number(figures.bytes_per_second / 1e6), ""
    yield "events a frame", _number(figures.events_per_frame), ""


def _delays(plan: Plan, figures: Figures) -> Iterator[Row]:
    name, since = "age of events", "since the record's timestamp"
    if plan.publication is not None:
        name, since = "latency", "since the event was due"
    if not figures.latency.count:
        yield name, NONE, "no event arrived"
        return
    yield f"{name}, p50 / p99", f"{_quantiles(figures.latency)} ms", since
    worst = figures.worst_by_connection
    half = f"half of the connections ≤ {_number(worst.p50_ms)} ms"
    yield "most", f"{_number(worst.max_ms)} ms", half


def _published(plan: Plan, outcome: Outcome) -> Iterator[Row]:
    published = outcome.published
    if published is None:
        return
    arrivals = sum(sample.settled.events for sample in outcome.samples)
    expected = published.events * plan.connections
    share = f"{arrivals / expected:.1%}" if expected else NONE
    rate = 0.0 if plan.publication is None else plan.publication.rate
    is_coalesced = arrivals < expected and outcome.granted.mode == Mode.LATEST
    told = "of events times connections" + (", the rest coalesced" if is_coalesced else "")
    yield "published", f"{published.events:,}", f"{rate:,g} a second"
    yield "arrived", share, told


def _costs(figures: Figures) -> Iterator[Row]:
    nodes, load = figures.nodes, figures.load
    if nodes is None:
        yield "nodes", NONE, figures.unmetered
    else:
        yield "CPU of the nodes", f"{nodes.cores:.1%}", "of a core"
        if nodes.cpu_us_per_delivery is not None:
            told = "all they did, Kafka too, by frames"
            yield "CPU a frame", f"{_number(nodes.cpu_us_per_delivery)} µs", told
        grown = nodes.bytes_per_connection / 1024
        told = f"grew {_number(grown)} KiB a connection" if grown > LEAST_GROWTH else ""
        yield "memory of the nodes", f"{_number(nodes.resident_bytes / 2**20)} MiB", told
    yield "CPU of the load client", f"{load.busiest_cores:.1%}", "of a core"


def _handshakes(outcome: Outcome) -> Iterator[Row]:
    if not outcome.churn:
        return
    churn = churn_figures(outcome.churn)
    yield (
        "handshakes/s",
        _number(churn.per_second),
        f"{churn.handshakes:,} in {churn.seconds:.1f} s",
    )
    told = f"until subscribed, {churn.under_way} under way"
    yield "handshake, p50 / p99", f"{_quantiles(churn.latency)} ms", told
    if churn.cpu_us_per_handshake is not None:
        told = f"load client {churn.load_cores:.1%} of a core"
        yield "CPU a handshake", f"{_number(churn.cpu_us_per_handshake)} µs", told


def _by_site(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("address", no_wrap=True)
    for heading in ("connections", "frames/s", "p50 ms", "p99 ms", "CPU", "µs a frame", "MiB"):
        table.add_column(heading, justify="right")
    for sample in outcome.samples:
        figures = figures_of([sample])
        table.add_row(
            urlsplit(sample.site.url).netloc,
            f"{figures.connections:,}",
            _number(figures.frames_per_second),
            _number(figures.latency.p50_ms),
            _number(figures.latency.p99_ms),
            *_site_costs(figures),
        )
    return table


def _site_costs(figures: Figures) -> tuple[str, str, str]:
    nodes = figures.nodes
    if nodes is None:
        return NONE, NONE, NONE
    each = nodes.cpu_us_per_delivery
    memory = _number(nodes.resident_bytes / 2**20)
    return f"{nodes.cores:.1%}", NONE if each is None else _number(each), memory


def _addresses(sites: int) -> str:
    return "1 address" if sites == 1 else f"{sites} addresses"


def _range(figures: Figures) -> str:
    least, most = figures.least_frames, figures.most_frames
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _quantiles(delay: Delay) -> str:
    return f"{_number(delay.p50_ms)} / {_number(delay.p99_ms)}"


def _number(value: float) -> str:
    """Three significant figures, thousands with separators."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
