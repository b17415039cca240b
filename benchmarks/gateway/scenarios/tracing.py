"""B11: what traces cost: a node that makes spans beside one that makes none (docs/performance.md).

Both nodes serve the same records to as many clients at the same time, on the same core: whatever else the machine does
meets both, and leaves their ratio alone.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidewire.bench.errors import BenchError
from tidewire.bench.load_client import LoadClient, LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import Peer
from ..contenders import connected, settled, subscribe_script
from ..figures import Figure, Goal, Kind, Sample, ratios, spread_of
from ..plan import Plan
from ..processes import SOURCE_CORE, start_talker
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["tracing"]

_OFF, _ON = "traces off", "traces on"
_READY = '"type":"subscribed"'
_PATIENCE = 30.0
_UNCAPPED = "1000000"
_LONGER = 3
"""Times a paced load of the plan: what is looked for is a twentieth."""


@dataclass(frozen=True, slots=True)
class _Load:
    """``rate`` records a second over ``keys``; one in ``sampled_every`` is sampled, 0: none has a trace context at all."""

    name: str
    mode: str
    interval_ms: int
    rate: float
    keys: int
    sampled_every: int


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two nodes, with its clients of a load."""

    name: str
    node: Node
    client: LoadClient


_DEFAULT = 100
"""One trace in so many is sampled where OTEL_TRACES_SAMPLER says nothing."""
_LOADS = (
    _Load("50 records/s, each a frame; 1 in 100 sampled", "every", 0, 50.0, 1, _DEFAULT),
    _Load("2,000 records/s, latest 250 ms; 1 in 100 sampled", "latest", 250, 2000.0, 100, _DEFAULT),
    _Load("2,000 records/s, latest 250 ms; none sampled", "latest", 250, 2000.0, 100, 1 << 30),
    _Load("2,000 records/s, latest 250 ms; no trace context", "latest", 250, 2000.0, 100, 0),
    _Load("500 records/s, latest 250 ms; all sampled", "latest", 250, 500.0, 100, 1),
)
_ALL_SAMPLED = _LOADS[-1]


def tracing(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    samples = list(_samples(rig, plan))
    results.samples += samples
    results.figures += _figures(samples)


def _samples(rig: Rig, plan: Plan) -> Iterator[Sample]:
    streams = [StreamSpec(f"traced-{number}", partitions=4) for number in range(len(_LOADS))]
    rig.make(*streams)
    sink_command = [sys.executable, "-m", "benchmarks.gateway.span_sink"]
    with start_talker("span sink", sink_command, core=SOURCE_CORE) as sink:
        url = sink.hear(_PATIENCE)["url"]
        for run in range(plan.runs):
            # New ones each time: where its memory happens to lie makes a process a hundredth faster or slower for its life.
            with _two_nodes(rig, url, run) as nodes:
                for load, stream in zip(_LOADS, streams, strict=True):
                    for name, values in _measured(rig, nodes, stream, load, plan).items():
                        yield Sample(load.name, name, run, values)
        if not sink.ask("spans", _PATIENCE)["spans"]:
            raise BenchError("no span has come: what was measured is no tracing")


@contextlib.contextmanager
def _two_nodes(rig: Rig, url: str, run: int) -> Iterator[dict[str, Node]]:
    """By contender; ``url`` is where the one sends its spans."""
    variables = {_OFF: {}, _ON: {"OTEL_EXPORTER_OTLP_ENDPOINT": url}}
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                rig.node(
                    f"{name}-{run}".replace(" ", "-"),
                    {"TRACE_LIMIT": _UNCAPPED},
                    variables=variables[name],
                )
            )
            for name in ((_OFF, _ON) if run % 2 else (_ON, _OFF))
        }


def _measured(
    rig: Rig, nodes: Mapping[str, Node], stream: StreamSpec, load: _Load, plan: Plan
) -> dict[str, dict[str, float]]:
    """What one load cost each of the two."""
    with contextlib.ExitStack() as clients:
        sides = [
            _Side(name, node, clients.enter_context(connected(_options(node, stream, load, plan))))
            for name, node in nodes.items()
        ]
        _measure(rig, sides, stream, load, plan.seconds)  # warms up
        return _measure(rig, sides, stream, load, _LONGER * plan.seconds)


def _options(node: Node, stream: StreamSpec, load: _Load, plan: Plan) -> LoadOptions:
    script = subscribe_script(stream.name, mode=load.mode, interval_ms=load.interval_ms)
    return LoadOptions(url=node.ws, connections=plan.connections, script=script, ready=_READY)


def _measure(
    rig: Rig, sides: Sequence[_Side], stream: StreamSpec, load: _Load, seconds: float
) -> dict[str, dict[str, float]]:
    count = round(load.rate * seconds)
    for side in sides:
        side.client.mark()
    before = [cpu_of(side.node.pid) for side in sides]
    details = {"keys": load.keys, "data_bytes": 150, "sampled_every": load.sampled_every}
    rig.publish(stream.name, count, load.rate, **details)
    reports = [settled(side.client) for side in sides]
    values = {}
    for side, report, since in zip(sides, reports, before, strict=True):
        used = cpu_of(side.node.pid).since(since)
        values[side.name] = {
            "cpu_us_per_event_published": used.total / count * 1e6,
            "p99_ms": report.normal.latency.p99_ms,
            "frame_bytes": report.bytes / report.frames,
        }
    return values


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    figures = []
    for load in _LOADS:
        costs = {
            name: spread_of(
                s.values["cpu_us_per_event_published"]
                for s in samples
                if (s.load, s.contender) == (load.name, name)
            ).median
            for name in (_OFF, _ON)
        }
        figures.append(
            Figure(
                "B11",
                f"CPU with traces on, against off: {load.name}",
                ratios(samples, "cpu_us_per_event_published", load=load.name, of=_ON, to=_OFF),
                "×",
                Kind.RATIO,
                Goal.MOST,
                None if load is _ALL_SAMPLED else 1.05,
                sides={name: f"{cost:.3g} µs an event" for name, cost in costs.items()},
            )
        )
    return figures
