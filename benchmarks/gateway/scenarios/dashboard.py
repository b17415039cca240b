"""B3: a dashboard's load, coalesced, against one frame for every event and client."""

from collections.abc import Sequence

from tidewire.bench.load_client import LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import Peer
from ..contenders import (
    TIDEWIRE,
    Load,
    connected,
    measure,
    settled,
    subscribe_script,
    tidewire_contender,
)
from ..figures import Figure, Goal, Kind, Sample, spread_of
from ..plan import Plan
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["dashboard"]

_ENTITIES = 100
_RATE = 2000.0
_INTERVAL_MS = 250
_DATA_BYTES = 150
_LOAD = "dashboard: 100 entities, 2,000 events/s, latest 250 ms"
_SINGLE = "the same clients, every event a frame"
_READY = '"type":"subscribed"'


def dashboard(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    board, single = StreamSpec("board", partitions=4), StreamSpec("single")
    rig.make(board, single)
    samples: list[Sample] = []
    with rig.node("dashboard") as node:
        script = subscribe_script("board", mode="latest", interval_ms=_INTERVAL_MS)
        watching = _options(node, plan, script)
        following = _options(node, plan, subscribe_script("single"))
        with (
            connected(watching) as client,
            tidewire_contender(rig, node, single, following) as follower,
        ):
            measure(follower, Load("warm-up", 50, 100.0), 0)
            for run in range(plan.runs):
                samples.append(measure(follower, Load(_SINGLE, 100, 100.0), run))
                client.mark()
                before = cpu_of(node.pid)
                count = round(_RATE * 2 * plan.seconds)
                rig.publish("board", count, _RATE, keys=_ENTITIES, data_bytes=_DATA_BYTES)
                report = settled(client)
                used = cpu_of(node.pid).since(before)
                samples.append(
                    Sample(
                        _LOAD,
                        TIDEWIRE,
                        run,
                        {
                            "cpu_us_per_event_published": used.total / count * 1e6,
                            "frames_per_second_and_client": report.frames
                            / plan.connections
                            / (count / _RATE),
                            "events_per_frame": report.events / report.frames,
                            "frame_bytes": report.bytes / report.frames,
                            "p50_ms": report.normal.latency.p50_ms,
                            "p99_ms": report.normal.latency.p99_ms,
                            "most_ms": report.normal.latency.max_ms,
                        },
                    )
                )
    results.samples += samples
    results.figures += _figures(samples, plan)


def _options(node: Node, plan: Plan, script: tuple[str, ...]) -> LoadOptions:
    return LoadOptions(url=node.ws, connections=plan.connections, script=script, ready=_READY)


def _figures(samples: Sequence[Sample], plan: Plan) -> list[Figure]:
    coalesced = _values(samples, _LOAD, "cpu_us_per_event_published")
    single = [cost * plan.connections for cost in _values(samples, _SINGLE, "cpu_us_per_delivery")]
    return [
        Figure(
            "B3",
            "CPU per event published: a frame per event and client, against coalesced",
            [alone / together for alone, together in zip(single, coalesced, strict=True)],
            "×",
            Kind.RATIO,
            target=100.0,
            sides={
                "coalesced": f"{spread_of(coalesced).median:.3g} µs",
                "a frame each": f"{spread_of(single).median:,.0f} µs",
            },
        ),
        Figure(
            "B3",
            "age of what a client is shown, p99",
            _values(samples, _LOAD, "p99_ms"),
            "ms",
            Kind.ABSOLUTE,
            Goal.MOST,
            300.0,
        ),
    ]


def _values(samples: Sequence[Sample], load: str, value: str) -> list[float]:
    return [s.values[value] for s in samples if s.load == load]
