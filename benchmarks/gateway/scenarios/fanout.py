"""B1, B2, B5: one record to every connection, beside limits and peers (docs/performance.md)."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from tidewire.bench.load_client import LoadOptions

from ...peers.peers import Peer
from ..contenders import (
    TIDEWIRE,
    Contender,
    Load,
    measure,
    peer_contender,
    subscribe_script,
    tidewire_contender,
)
from ..figures import Figure, Goal, Kind, Sample, ratios, spread_of
from ..plan import Plan
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["fanout"]

LIMIT, PYTHON, NODE, BASELINE = "send-loop", "uvloop-write", "node-ws", "fastapi-queue"
BROADCAST, CENTRIFUGO = "websockets-broadcast", "centrifugo"
_PEERS = (LIMIT, PYTHON, NODE, BROADCAST, BASELINE)
_QUIET, _BRISK, _FULL, _FLOOD, _PRIVATE = (
    "30 records/s",
    "100 records/s",
    "120 records/s",
    "flood",
    "a payload per connection",
)
_FLOOD_RECORDS = 2000
_FLOOD_FRAMES = 500
_WARM_UP = Load("warm-up", 50, 100.0)
_READY = '"type":"subscribed"'


def fanout(rig: Rig, plan: Plan, peers: Sequence[Peer], results: Results) -> None:
    samples = list(_shared(rig, plan, peers))
    samples += _private(rig, plan) if plan.is_whole else []
    results.samples += samples
    results.figures += [f for f in _figures(samples) if f.values]


def _shared(rig: Rig, plan: Plan, peers: Sequence[Peer]) -> Iterator[Sample]:
    stream = StreamSpec("fanout")
    rig.make(stream)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(rig.node("fanout"))
        options = _options(node, stream.name, plan)
        contenders = [stack.enter_context(tidewire_contender(rig, node, stream, options))]
        own = [name for name in _PEERS if plan.is_whole or name != BROADCAST]
        beside: list[Peer | str] = [*own, *peers]
        contenders += [
            stack.enter_context(peer_contender(rig, peer, plan.connections)) for peer in beside
        ]
        by_name = {contender.name: contender for contender in contenders}
        for contender in contenders:
            measure(contender, _WARM_UP, 0)
        for run in range(plan.runs):
            for load, names in _loads(plan, by_name):
                for name in names:
                    yield measure(by_name[name], load, run)


def _loads(plan: Plan, by_name: Mapping[str, Contender]) -> Iterator[tuple[Load, Sequence[str]]]:
    """What each contender is given; the baseline and Centrifugo would take minutes for the rest."""
    fed_by_kafka = [TIDEWIRE, *(n for n in by_name if n not in (*_PEERS, TIDEWIRE))]
    quick = [name for name in by_name if name in (LIMIT, PYTHON, TIDEWIRE, NODE, BROADCAST)]
    seconds = plan.seconds
    yield Load(_QUIET, round(30 * seconds), 30.0), list(by_name)
    yield Load(_BRISK, round(100 * seconds), 100.0), list(by_name)
    yield Load(_FULL, round(120 * seconds), 120.0), quick
    yield Load(_FLOOD, _FLOOD_RECORDS), fed_by_kafka
    yield Load(_FLOOD, _FLOOD_FRAMES), [name for name in quick if name != TIDEWIRE]


def _private(rig: Rig, plan: Plan) -> Iterator[Sample]:
    """Each connection has a group of its own, and so a feed and a frame."""
    stream = StreamSpec("private", partitions=4)
    rig.make(stream)
    rounds = 8.0
    count = round(rounds * plan.seconds) * plan.connections
    load = Load(_PRIVATE, count, rounds * plan.connections, is_private=True)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(rig.node("private"))
        options = _options(node, f"{stream.name}/g{{n}}", plan)
        contenders = [stack.enter_context(tidewire_contender(rig, node, stream, options))]
        contenders += [
            stack.enter_context(peer_contender(rig, name, plan.connections))
            for name in (LIMIT, PYTHON, NODE)
        ]
        for run in range(plan.runs):
            for contender in contenders:
                yield measure(contender, load, run)


def _options(node: Node, channel: str, plan: Plan) -> LoadOptions:
    return LoadOptions(
        url=node.ws,
        connections=plan.connections,
        script=subscribe_script(channel),
        ready=_READY,
    )


def _figures(samples: Sequence[Sample]) -> Iterator[Figure]:
    cost = "cpu_us_per_delivery"
    yield _share(samples, "one event a frame, share of the C loop", _FULL, LIMIT, target=0.80)
    yield _share(samples, "one event a frame, share of ready frames on uvloop", _FULL, PYTHON)
    yield _share(samples, "one event a frame, against Node ws", _FULL, NODE, target=1.0)
    yield _share(samples, "one event a frame, against websockets.broadcast", _FULL, BROADCAST)
    yield _share(
        samples, "a payload per connection, share of the C loop", _PRIVATE, LIMIT, target=0.75
    )
    yield _share(samples, "a payload per connection, against Node ws", _PRIVATE, NODE)
    for load in (_QUIET, _BRISK):
        yield Figure(
            "B1",
            f"{load}, CPU against Centrifugo's",
            ratios(samples, "cpu_us_per_event", load=load, of=TIDEWIRE, to=CENTRIFUGO),
            "×",
            Kind.RATIO,
            Goal.MOST,
            0.6,
            sides=_sides(samples, load, "cpu_us_per_event", TIDEWIRE, CENTRIFUGO),
        )
    yield Figure(
        "B1",
        "flood in `every`, events a CPU second against Centrifugo's",
        ratios(samples, "cpu_us_per_event", load=_FLOOD, of=CENTRIFUGO, to=TIDEWIRE),
        "×",
        Kind.RATIO,
        target=5.0,
        sides=_sides(samples, _FLOOD, "cpu_us_per_event", TIDEWIRE, CENTRIFUGO),
    )
    yield Figure(
        "B1",
        "flood in `every`, events a CPU second against the C loop's frames",
        ratios(samples, "cpu_us_per_event", load=_FLOOD, of=LIMIT, to=TIDEWIRE),
        "×",
        Kind.RATIO,
        sides=_sides(samples, _FLOOD, "cpu_us_per_event", TIDEWIRE, LIMIT),
    )
    yield Figure(
        "B2",
        "100 records/s, CPU of a plain FastAPI gateway against ours",
        ratios(samples, cost, load=_BRISK, of=BASELINE, to=TIDEWIRE),
        "×",
        Kind.RATIO,
        target=3.0,
        sides=_sides(samples, _BRISK, cost, TIDEWIRE, BASELINE),
    )
    for value, target in (("p50_ms", 6.0), ("p99_ms", 15.0)):
        yield Figure(
            "B5",
            f"30 records/s, publish to socket, {value.removesuffix('_ms')}",
            _values(samples, _QUIET, TIDEWIRE, value),
            "ms",
            Kind.ABSOLUTE,
            Goal.MOST,
            target,
            sides=_sides(samples, _QUIET, value, LIMIT, NODE, BASELINE, CENTRIFUGO),
        )
        yield Figure(
            "B5",
            f"30 records/s, {value.removesuffix('_ms')} against Centrifugo's",
            ratios(samples, value, load=_QUIET, of=TIDEWIRE, to=CENTRIFUGO),
            "×",
            Kind.ABSOLUTE,  # of latencies: too restless to be compared between runs
            Goal.MOST,
            sides=_sides(samples, _QUIET, value, TIDEWIRE, CENTRIFUGO),
        )


def _share(
    samples: Sequence[Sample], name: str, load: str, of: str, *, target: float | None = None
) -> Figure:
    """What another needs for a delivery, divided by what we need."""
    cost = "cpu_us_per_delivery"
    return Figure(
        "B1",
        name,
        ratios(samples, cost, load=load, of=of, to=TIDEWIRE),
        "×",
        Kind.RATIO,
        target=target,
        sides=_sides(samples, load, cost, TIDEWIRE, of),
    )


def _sides(samples: Sequence[Sample], load: str, value: str, *names: str) -> Mapping[str, str]:
    unit = "ms" if value.endswith("_ms") else "µs"
    found = {name: _values(samples, load, name, value) for name in names}
    return {name: f"{spread_of(v).median:.3g} {unit}" for name, v in found.items() if v}


def _values(samples: Sequence[Sample], load: str, name: str, value: str) -> list[float]:
    return [s.values[value] for s in samples if s.load == load and s.contender == name]
