"""B9: many clients that resume one cold partition at once."""

import time
from collections.abc import Sequence

import httpx
import orjson

from tidewire.bench.load_client import LoadClient, LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import Peer
from ..contenders import TIDEWIRE, connected, subscribe_script
from ..figures import Figure, Goal, Kind, Sample
from ..plan import Plan
from ..processes import SOURCE_CORE
from ..report import Results
from ..rig import Node, Rig, StreamSpec

__all__ = ["resume"]

_CLIENTS = 2000
_RATE = 20.0
_LOG_WINDOW = 1
_READS = "backfills_total"
"""Reads of the past, however they ended."""
_LAST = '"last":true'
_TIMEOUT = 60.0


def resume(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    """What they lack is older than what the node holds, so it has to be read again: once, for all."""
    stream = StreamSpec("resume", modes=("every",))
    rig.make(stream)
    events = round(_RATE * plan.behind)
    settings = {"LOG_WINDOW": str(_LOG_WINDOW)}
    samples: list[Sample] = []
    with rig.node("resume", settings) as node:
        script = subscribe_script(stream.name)
        keeper = LoadOptions(url=node.ws, connections=1, script=script, ready='"type":"subscribed"')
        with connected(keeper):
            for run in range(plan.runs):
                since = _position(node, stream.name)
                rig.publish(stream.name, events, _RATE, data_bytes=100, last=True)
                _wait_until_cold(node)
                samples.append(_resume(node, stream.name, since, events, run=run))
    results.samples += samples
    results.figures += _figures(samples)


def _resume(node: Node, stream: str, since: str, events: int, *, run: int) -> Sample:
    options = LoadOptions(
        url=node.ws,
        connections=_CLIENTS,
        in_flight=_CLIENTS,
        script=subscribe_script(stream, resumes=True),
        since=[since],
        ready=_LAST,
    )
    reads, before = node.metric(_READS), cpu_of(node.pid)
    with LoadClient(options, core=SOURCE_CORE) as client:
        client.wait_until_ready(_TIMEOUT)
        report = client.report()
    used = cpu_of(node.pid).since(before)
    latency = report.handshakes.latency
    return Sample(
        f"{_CLIENTS:,} clients resume one cold partition, {events / _RATE:g} s and {events} events behind",
        TIDEWIRE,
        run,
        {
            "reads_of_kafka": node.metric(_READS) - reads,
            "p50_ms": latency.p50_ms,
            "p99_ms": latency.p99_ms,
            "most_ms": latency.max_ms,
            "cpu_us_per_client": used.total / _CLIENTS * 1e6,
        },
    )


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    def figure(name: str, value: str, unit: str, target: float) -> Figure:
        values = [s.values[value] for s in samples]
        return Figure("B9", name, values, unit, Kind.ABSOLUTE, Goal.MOST, target)

    return [
        figure("2,000 resume: reads of Kafka", "reads_of_kafka", "reads", 1.0),
        figure("2,000 resume: from connect() to the last event, p99", "p99_ms", "ms", 1000.0),
    ]


def _position(node: Node, stream: str) -> str:
    url = f"{node.ws.replace('ws://', 'http://').removesuffix('/v1/ws')}/v1/channels/{stream}"
    answer = httpx.get(url, timeout=_TIMEOUT, trust_env=False).raise_for_status()
    return orjson.dumps(answer.json()["position"]).decode()


def _wait_until_cold(node: Node) -> None:
    """The log window, and the second between two looks at what is older than that."""
    time.sleep(2 * _LOG_WINDOW + 0.5)
