"""B4: memory of connections that are held, subscribed and authenticated, and do nothing."""

import resource
import time
from collections.abc import Sequence

from tidewire.bench.load_client import LoadOptions
from tidewire.bench.usage import cpu_of, resident_bytes

from ...peers.peers import Peer
from ..contenders import TIDEWIRE, connected, subscribe_script
from ..figures import Figure, Goal, Kind, Sample
from ..plan import Plan
from ..report import Results
from ..rig import Node, Rig, StreamSpec, tokens_file

__all__ = ["idle"]

_READY = '"type":"subscribed"'
_WARM_UP = 500
_REST = 1.5
_LOOK = 2.0
_PER_ADDRESS = 25_000
_RESERVE = 1024
_CONNECT_TIMEOUT = 240.0


def idle(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    stream = StreamSpec("idle", public=False)
    rig.make(stream)
    rig.publish(stream.name, 100, keys=100)
    counts = [plan.sizes[-1], *([_allowed(plan.most)] if plan.most else [])]
    for count in dict.fromkeys(counts):
        with rig.node(f"idle-{count}") as node:
            results.samples.append(_hold(rig, node, stream.name, count))
    held = results.samples[-len(counts) :]
    for count, sample in zip(counts, held, strict=False):
        results.figures.append(
            Figure(
                "B4",
                f"memory of an idle connection, {count:,} held",
                [sample.values["kb_per_connection"]],
                "KB",
                Kind.ABSOLUTE,
                Goal.MOST,
                12.0,
                sides={"idle CPU of all": f"{sample.values['idle_core_share']:.1%} of a core"},
            )
        )


def _hold(rig: Rig, node: Node, stream: str, count: int) -> Sample:
    """The first connections warm everything up that is there once; memory is counted from there."""
    script = subscribe_script(stream, has_token=True)
    tokens = tokens_file(rig, count).read_text().split()
    with connected(_options(node, _WARM_UP, script, tokens)):
        time.sleep(_REST)
        before = resident_bytes(node.pid)
        began, used = time.monotonic(), cpu_of(node.pid)
        with connected(_options(node, count, script, tokens), _CONNECT_TIMEOUT):
            connecting = cpu_of(node.pid).since(used).total
            connected_in = time.monotonic() - began
            time.sleep(_REST)
            held = resident_bytes(node.pid) - before
            used, began = cpu_of(node.pid), time.monotonic()
            time.sleep(_LOOK)
            share = cpu_of(node.pid).since(used).total / (time.monotonic() - began)
    return Sample(
        f"{count:,} idle connections",
        TIDEWIRE,
        0,
        {
            "kb_per_connection": held / count / 1024,
            "cpu_us_per_handshake": connecting / count * 1e6,
            "seconds_to_connect": connected_in,
            "idle_core_share": share,
        },
    )


def _options(node: Node, count: int, script: tuple[str, ...], tokens: Sequence[str]) -> LoadOptions:
    return LoadOptions(
        url=node.ws,
        connections=count,
        addresses=1 + count // _PER_ADDRESS,
        script=script,
        tokens=tokens,
        ready=_READY,
    )


def _allowed(wanted: int) -> int:
    """As many as a process may hold files here; only root with the right capability may raise that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most - _RESERVE - _WARM_UP)
