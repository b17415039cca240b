"""Half of B12, and what a second core brings: the cost of a delivery as connections and processes grow."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from tidewire.bench.load_client import LoadOptions

from ...peers.peers import Peer
from ..contenders import (
    TIDEWIRE,
    Load,
    connected,
    measure,
    peer_contender,
    subscribe_script,
    tidewire_contender,
)
from ..figures import Figure, Kind, Sample, spread_of
from ..plan import Plan
from ..report import Results
from ..rig import Rig, StreamSpec

__all__ = ["growth"]

_DELIVERIES = 60_000.0
"""A second: below what any of the sizes can do, so that each event has a frame."""
_READY = '"type":"subscribed"'
_LIMIT = "send-loop"
_SCALE = "handshakes, whatever core is free"
_IN_FLIGHT = 64
_ADDRESSES = 4


def growth(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    if not plan.is_whole:
        return
    samples = [s for size in plan.sizes for s in _size(rig, plan, size)]
    results.samples += samples
    results.figures += _growth(samples, plan.sizes)
    scale = list(_processes(rig, plan))
    results.samples += scale
    results.figures += [_gain(scale)]


def _size(rig: Rig, plan: Plan, connections: int) -> Iterator[Sample]:
    stream = StreamSpec(f"size-{connections}")
    rig.make(stream)
    rate = _DELIVERIES / connections
    load = Load(f"{connections:,} connections", round(rate * plan.seconds), rate)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(rig.node(stream.name))
        options = LoadOptions(
            url=node.ws,
            connections=connections,
            script=subscribe_script(stream.name),
            ready=_READY,
        )
        contenders = [
            stack.enter_context(tidewire_contender(rig, node, stream, options)),
            stack.enter_context(peer_contender(rig, _LIMIT, connections)),
        ]
        for contender in contenders:
            measure(contender, Load("warm-up", 20, rate), 0)
        for run in range(plan.runs):
            for contender in contenders:
                yield measure(contender, load, run)


def _growth(samples: Sequence[Sample], sizes: Sequence[int]) -> list[Figure]:
    cost = {size: _median(samples, f"{size:,} connections", TIDEWIRE) for size in sizes}
    limit = {size: _median(samples, f"{size:,} connections", _LIMIT) for size in sizes}
    shares = {size: limit[size] / cost[size] for size in sizes}
    named = ", ".join(f"{size:,}" for size in sizes)
    return [
        Figure(
            "B12",
            f"deliveries a CPU second at {named} connections: least against most",
            [min(cost.values()) / max(cost.values())],
            "×",
            Kind.RATIO,
            target=0.8,
            sides={f"{s:,}": f"{cost[s]:.3g} µs (C loop {limit[s]:.3g})" for s in sizes},
        ),
        Figure(
            "B12",
            f"share of the C loop at {named} connections: least against most",
            [min(shares.values()) / max(shares.values())],
            "×",
            Kind.RATIO,
            sides={f"{s:,}": f"{shares[s]:.2f}" for s in sizes},
        ),
    ]


def _processes(rig: Rig, plan: Plan) -> Iterator[Sample]:
    """Handshakes a second: of all loads the one that costs the client next to nothing beside the server."""
    stream = StreamSpec("processes")
    rig.make(stream)
    for count in (1, 2):
        with rig.nodes(f"processes-{count}", count) as url:
            options = LoadOptions(
                url=url,
                connections=_IN_FLIGHT,
                addresses=_ADDRESSES,
                script=subscribe_script(stream.name),
                ready=_READY,
                churn=True,
            )
            for run in range(plan.runs):
                with connected(options) as client:
                    client.mark()
                    time.sleep(plan.seconds)
                    rate = client.report().handshakes.per_second
                name = f"{TIDEWIRE}, {count} node(s)"
                yield Sample(_SCALE, name, run, {"handshakes_per_second": rate})


def _gain(samples: Sequence[Sample]) -> Figure:
    rates = {
        count: [
            s.values["handshakes_per_second"]
            for s in samples
            if s.contender == f"{TIDEWIRE}, {count} node(s)"
        ]
        for count in (1, 2)
    }
    return Figure(
        "scale",
        "handshakes a second of two nodes behind one port on two cores (load client too), against one",
        [two / one for one, two in zip(rates[1], rates[2], strict=True)],
        "×",
        Kind.RATIO,
        sides={f"{n} node(s)": f"{spread_of(v).median:,.0f}/s" for n, v in rates.items()},
    )


def _median(samples: Sequence[Sample], load: str, contender: str) -> float:
    return spread_of(
        s.values["cpu_us_per_delivery"]
        for s in samples
        if s.load == load and s.contender == contender
    ).median
