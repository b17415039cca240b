"""B7 and half of B12: records read, decoded, routed and coalesced, whatever the number of keys."""

import os
import signal
import time
from collections.abc import Sequence

from tidewire.bench.errors import BenchError
from tidewire.bench.load_client import LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import Peer
from ..contenders import TIDEWIRE, connected, subscribe_script
from ..figures import Figure, Kind, Sample, spread_of
from ..plan import Plan
from ..reading import client_ceiling
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["ingest"]

_PARTITIONS = 8
_KEYS = (10, 1000, 10_000, 100_000)
_MAIN = 10_000
_DATA_BYTES = 150
_READY = '"type":"subscribed"'
_CONSUMED = "events_consumed_total"
_RUNS_OF_ALL = 3
_PATIENCE = 60.0
_LOOK = 0.1


def ingest(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    rig.make(*map(_stream, _KEYS))
    samples: list[Sample] = []
    with rig.node("ingest") as node:
        for run in range(plan.runs):
            chosen = _KEYS if run < _RUNS_OF_ALL and plan.is_whole else (_MAIN,)
            samples += [_read_backlog(rig, plan, node, keys, run=run) for keys in chosen]
            samples.append(client_ceiling(rig, _stream(_MAIN), plan, run))
    results.samples += samples
    results.figures += _figures(samples)


def _stream(keys: int) -> StreamSpec:
    return StreamSpec(f"keys-{keys}", partitions=_PARTITIONS)


def _read_backlog(rig: Rig, plan: Plan, node: Node, keys: int, *, run: int) -> Sample:
    """The node is held still while records gather, so that the publisher takes no part in what is measured."""
    stream = _stream(keys).name
    options = LoadOptions(
        url=node.ws,
        connections=1,
        script=subscribe_script(stream, mode="latest", interval_ms=250),
        ready=_READY,
    )
    with connected(options) as client:
        consumed = node.metric(_CONSUMED) + plan.backlog
        os.kill(node.pid, signal.SIGSTOP)
        try:
            rig.publish(stream, plan.backlog, keys=keys, data_bytes=_DATA_BYTES)
            client.mark()
            before, began = cpu_of(node.pid), time.monotonic()
        finally:
            os.kill(node.pid, signal.SIGCONT)
        while node.metric(_CONSUMED) < consumed:
            if time.monotonic() - began > _PATIENCE:
                raise BenchError(f"{stream}: the backlog was not read within {_PATIENCE:g} s")
            time.sleep(_LOOK)
        seconds = time.monotonic() - began
        used = cpu_of(node.pid).since(before)
        report = client.report()
    return Sample(
        "a backlog, latest 250 ms",
        f"{TIDEWIRE}, {keys:,} keys",
        run,
        {
            "events_per_cpu_second": plan.backlog / used.total,
            "cpu_us_per_event": used.total / plan.backlog * 1e6,
            "events_per_second": plan.backlog / seconds,
            "delivered_share": report.events / plan.backlog,
        },
    )


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    by_keys = {keys: _values(samples, f"{TIDEWIRE}, {keys:,} keys") for keys in _KEYS}
    by_keys = {keys: values for keys, values in by_keys.items() if values}
    ceiling = _values(samples, "the Kafka client alone")
    medians = {keys: spread_of(values).median for keys, values in by_keys.items()}
    growth = {keys: median for keys, median in medians.items() if keys != _MAIN}
    figures = [
        Figure(
            "B7",
            "events a CPU second, 10,000 keys",
            by_keys[_MAIN],
            "events",
            Kind.ABSOLUTE,
            target=150_000,
            sides={"the Kafka client alone": f"{spread_of(ceiling).median:,.0f}"},
        ),
        Figure(
            "B7",
            "share of what the Kafka client alone reaches",
            [ours / its for ours, its in zip(by_keys[_MAIN], ceiling, strict=True)],
            "×",
            Kind.RATIO,
        ),
    ]
    if len(growth) > 1:
        figures.append(
            Figure(
                "B12",
                "events a CPU second at 10, 1,000 and 100,000 keys: least against most",
                [min(growth.values()) / max(growth.values())],
                "×",
                Kind.RATIO,
                target=0.8,
                sides={f"{keys:,}": f"{median:,.0f}" for keys, median in growth.items()},
            )
        )
    return figures


def _values(samples: Sequence[Sample], contender: str) -> list[float]:
    return [s.values["events_per_cpu_second"] for s in samples if s.contender == contender]
