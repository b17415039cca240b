"""B11: what traces cost: a node that makes spans beside one that makes none (docs/performance.md)."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
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
    """One of the two nodes, with the clients of a load."""

    node: Node
    stream: StreamSpec
    client: LoadClient


_DEFAULT = 100
"""One trace in so many is sampled where OTEL_TRACES_SAMPLER says nothing."""
_LOADS = (
    _Load("100 records/s, each a frame; 1 in 100 sampled", "every", 0, 100.0, 1, _DEFAULT),
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
    names = [(load, contender) for load in range(len(_LOADS)) for contender in (_OFF, _ON)]
    streams = {place: StreamSpec(f"traced-{n}", partitions=4) for n, place in enumerate(names)}
    rig.make(*streams.values())
    sink_command = [sys.executable, "-m", "benchmarks.gateway.span_sink"]
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(start_talker("span sink", sink_command, core=SOURCE_CORE))
        url = sink.hear(_PATIENCE)["url"]
        variables = {_OFF: {}, _ON: {"OTEL_EXPORTER_OTLP_ENDPOINT": url}}
        nodes = {
            name: stack.enter_context(
                rig.node(
                    name.replace(" ", "-"), {"TRACE_LIMIT": _UNCAPPED}, variables=variables[name]
                )
            )
            for name in (_OFF, _ON)
        }
        for number, load in enumerate(_LOADS):
            with contextlib.ExitStack() as clients:
                sides = {}
                for name in (_OFF, _ON):
                    node, stream = nodes[name], streams[number, name]
                    client = clients.enter_context(connected(_options(node, stream, load, plan)))
                    sides[name] = _Side(node, stream, client)
                for run in range(-1, plan.runs):  # the first warms up
                    # Whoever is second finds the machine otherwise than the first.
                    for name in (_OFF, _ON) if run % 2 else (_ON, _OFF):
                        values = _measure(rig, sides[name], load, plan)
                        if run >= 0:
                            yield Sample(load.name, name, run, values)
        if not sink.ask("spans", _PATIENCE)["spans"]:
            raise BenchError("no span has come: what was measured is no tracing")


def _options(node: Node, stream: StreamSpec, load: _Load, plan: Plan) -> LoadOptions:
    script = subscribe_script(stream.name, mode=load.mode, interval_ms=load.interval_ms)
    return LoadOptions(url=node.ws, connections=plan.connections, script=script, ready=_READY)


def _measure(rig: Rig, side: _Side, load: _Load, plan: Plan) -> dict[str, float]:
    side.client.mark()
    before = cpu_of(side.node.pid)
    count = round(load.rate * 2 * plan.seconds)
    details = {"keys": load.keys, "data_bytes": 150, "sampled_every": load.sampled_every}
    rig.publish(side.stream.name, count, load.rate, **details)
    report = settled(side.client)
    used = cpu_of(side.node.pid).since(before)
    return {
        "cpu_us_per_event_published": used.total / count * 1e6,
        "p99_ms": report.normal.latency.p99_ms,
        "frame_bytes": report.bytes / report.frames,
    }


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
