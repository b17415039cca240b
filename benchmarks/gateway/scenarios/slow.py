"""B6: what a tenth of slow clients costs the others."""

from collections.abc import Sequence

from tidewire.bench.load_client import LoadClient, LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import Peer
from ..contenders import TIDEWIRE, connected, settled, subscribe_script
from ..figures import Figure, Goal, Kind, Sample, ratios, spread_of
from ..plan import Plan
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["slow"]

_RATE = 50.0
_SLOW_RATE = 1000
_HEALTHY, _MIXED = "all healthy", "a tenth reads 1 kB/s"
_LOAD = "50 records/s, latest 0 ms, healthy clients"
_READY = '"type":"subscribed"'
_STREAMS = {_HEALTHY: StreamSpec("healthy"), _MIXED: StreamSpec("mixed")}


def slow(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    """Both groups are held by nodes of their own, measured in turn."""
    rig.make(*_STREAMS.values())
    tenth = plan.connections // 10
    samples: list[Sample] = []
    with (
        rig.node("healthy") as one,
        rig.node("mixed") as other,
        connected(_options(one, "healthy", plan.connections - tenth)) as healthy,
        connected(_options(other, "mixed", plan.connections, slow=tenth)) as mixed,
    ):
        sides = {_HEALTHY: (one, healthy), _MIXED: (other, mixed)}
        for run in range(-1, plan.runs):  # the first, not counted, brings the slow ones behind
            for name, (node, client) in sides.items():
                sample = _measure(rig, plan, name, node, client, run=run)
                samples += [sample] if run >= 0 else []
    results.samples += samples
    results.figures.append(_figure(samples))


def _measure(
    rig: Rig, plan: Plan, name: str, node: Node, client: LoadClient, *, run: int
) -> Sample:
    client.mark()
    before = cpu_of(node.pid)
    count = round(_RATE * 1.5 * plan.seconds)
    rig.publish(_STREAMS[name].name, count, _RATE, keys=20, data_bytes=600)
    report = client.report() if name == _MIXED else settled(client)  # slow ones settle late
    used = cpu_of(node.pid).since(before)
    return Sample(
        _LOAD,
        f"{TIDEWIRE}, {name}",
        run,
        {
            "p50_ms": report.normal.latency.p50_ms,
            "p99_ms": report.normal.latency.p99_ms,
            "cpu_us_per_delivery": used.total / report.normal.frames * 1e6,
            "slow_frames": float(report.slow.frames),
        },
    )


def _options(node: Node, channel: str, connections: int, slow: int = 0) -> LoadOptions:
    return LoadOptions(
        url=node.ws,
        connections=connections,
        script=subscribe_script(channel, mode="latest"),
        ready=_READY,
        slow_connections=slow,
        slow_rate=_SLOW_RATE,
    )


def _figure(samples: Sequence[Sample]) -> Figure:
    of, to = f"{TIDEWIRE}, {_MIXED}", f"{TIDEWIRE}, {_HEALTHY}"
    values = {
        name: [s.values["p99_ms"] for s in samples if s.contender == name] for name in (of, to)
    }
    return Figure(
        "B6",
        "healthy clients' p99 with a tenth of slow ones, against none",
        ratios(samples, "p99_ms", load=_LOAD, of=of, to=to),
        "×",
        Kind.ABSOLUTE,  # of latencies: too restless to be compared between runs
        Goal.MOST,
        1.2,
        sides={name: f"{spread_of(v).median:.3g} ms" for name, v in values.items()},
    )
