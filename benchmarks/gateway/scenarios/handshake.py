"""B8: connections that come, say hello with a token, subscribe, and are told where they stand."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tidewire.bench.load_client import LoadOptions
from tidewire.bench.usage import cpu_of

from ...peers.peers import BUILT_IN, Peer
from ..contenders import TIDEWIRE, connected, peer_options, served, subscribe_script
from ..figures import Figure, Goal, Kind, Sample, ratios
from ..plan import Plan
from ..report import Results
from ..rig import Node, Rig, StreamSpec, tokens_file

__all__ = ["handshake"]

_LOAD = "handshakes"
_IN_FLIGHT = 32
_ADDRESSES = 4
_TOKENS = 60_000
_KNOWN = 16
_BASELINE, _CENTRIFUGO = "fastapi-queue", "centrifugo"
_FRESH, _REPEATED, _BARE = (
    "fresh token, snapshot",
    "known token, snapshot",
    "fresh token, no snapshot",
)


def handshake(rig: Rig, plan: Plan, peers: Sequence[Peer], results: Results) -> None:
    stream = StreamSpec("snapshots", table=True, public=False)
    rig.make(stream)
    rig.publish(stream.name, 100, keys=100)
    tokens = tokens_file(rig, _TOKENS).read_text().split()
    others = [BUILT_IN[_BASELINE](), *(peer for peer in peers if peer.feed == "kafka")]
    samples: list[Sample] = []
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(rig.node("handshake"))
        stack.enter_context(connected(_options(node, tokens[:1], snapshot=True)))
        beside = [stack.enter_context(_peer(rig, peer)) for peer in others]
        for run in range(plan.runs):
            share = len(tokens) // (2 * plan.runs)  # nobody is known from another run
            first, second = (
                tokens[2 * run * share :][:share],
                tokens[(2 * run + 1) * share :][:share],
            )
            for name, given, snapshot in (
                (_FRESH, first, True),
                (_REPEATED, tokens[:_KNOWN], True),
                (_BARE, second, False),
            ):
                options = _options(node, given, snapshot=snapshot, churn=True)
                samples.append(_churn(node.pid, options, f"{TIDEWIRE}, {name}", run, plan))
            for name, pid, options in beside:
                samples.append(_churn(pid, options, name, run, plan))
    results.samples += samples
    results.figures += _figures(samples)


@contextlib.contextmanager
def _peer(rig: Rig, peer: Peer) -> Iterator[tuple[str, int, LoadOptions]]:
    """A peer's name and process, and what its clients do: less than ours, they have no tokens."""
    with served(rig, peer, f"handshake-{peer.name}") as running:
        options = replace(
            peer_options(peer, running, _IN_FLIGHT),
            in_flight=_IN_FLIGHT,
            addresses=_ADDRESSES,
            churn=True,
        )
        yield peer.name, running.pid, options


def _churn(pid: int, options: LoadOptions, name: str, run: int, plan: Plan) -> Sample:
    with connected(options) as client:
        client.mark()
        before = cpu_of(pid)
        time.sleep(plan.seconds)
        report, used = client.report(), cpu_of(pid).since(before)
    return Sample(
        _LOAD,
        name,
        run,
        {
            "handshakes_per_cpu_second": report.handshakes.count / used.total,
            "cpu_us_per_handshake": used.total / report.handshakes.count * 1e6,
            "handshakes_per_second": report.handshakes.per_second,
            "p50_ms": report.handshakes.latency.p50_ms,
            "p99_ms": report.handshakes.latency.p99_ms,
        },
    )


def _options(
    node: Node, tokens: Sequence[str], *, snapshot: bool, churn: bool = False
) -> LoadOptions:
    return LoadOptions(
        url=node.ws,
        connections=_IN_FLIGHT if churn else 1,
        in_flight=_IN_FLIGHT,
        addresses=_ADDRESSES,
        script=subscribe_script("snapshots", mode="latest", has_token=True, snapshot=snapshot),
        tokens=tokens,
        ready='"type":"snapshot"' if snapshot else '"type":"subscribed"',
        churn=churn,
    )


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    return [
        Figure(
            "B8",
            f"handshakes a CPU second: {name}",
            [
                s.values["handshakes_per_cpu_second"]
                for s in samples
                if s.contender == f"{TIDEWIRE}, {name}"
            ],
            "handshakes",
            Kind.ABSOLUTE,
            target=2500 if name == _FRESH else None,
            stretch=5000 if name == _FRESH else None,
        )
        for name in (_FRESH, _REPEATED, _BARE)
    ] + [
        Figure(
            "B8",
            f"CPU a handshake, fresh token and no snapshot, against {what}",
            ratios(samples, "cpu_us_per_handshake", load=_LOAD, of=f"{TIDEWIRE}, {_BARE}", to=peer),
            "×",
            Kind.RATIO,
            Goal.MOST,
        )
        for peer, what in (
            (_BASELINE, "a FastAPI gateway's without token and subscription"),
            (_CENTRIFUGO, "Centrifugo's without token"),
        )
        if any(s.contender == peer for s in samples)
    ]
