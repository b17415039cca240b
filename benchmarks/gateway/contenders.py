"""Servers side by side: each with its connections held, fed in turn, its processor time looked at."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tidewire.bench.errors import BenchError
from tidewire.bench.load_client import LoadClient, LoadOptions, Report
from tidewire.bench.usage import cpu_of

from ..peers.peers import BUILT_IN, Peer
from ..peers.running import RunningPeer, running_peer
from .figures import Sample
from .processes import SERVER_CORE, SOURCE_CORE
from .rig import Node, Rig, StreamSpec

__all__ = [
    "TIDEWIRE",
    "Contender",
    "Load",
    "connected",
    "measure",
    "peer_contender",
    "peer_options",
    "served",
    "settled",
    "subscribe_script",
    "tidewire_contender",
]

TIDEWIRE = "tidewire"
_CONNECT_TIMEOUT = 120.0
_SETTLE_TIMEOUT = 60.0
_SETTLED = 3
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Load:
    """``count`` events at ``rate`` a second (0: as fast as it goes), each to every connection.

    ``is_private``: each is for one connection alone, in turn, and has a payload of its own.
    """

    name: str
    count: int
    rate: float = 0.0
    is_private: bool = False

    @property
    def seconds(self) -> float:
        return self.count / self.rate if self.rate else 0.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A server with its connections; ``feed`` has it given a load, and returns when that has begun to end."""

    name: str
    pid: int
    client: LoadClient
    connections: int
    feed: Callable[[Load], None]


def subscribe_script(
    channel: str,
    *,
    mode: str = "every",
    interval_ms: int = 0,
    has_token: bool = False,
    snapshot: bool = False,
    resumes: bool = False,
) -> tuple[str, ...]:
    """What a client of the gateway sends: one frame that says hello and subscribes."""
    hello = '{"client":"bench/1"' + (',"token":"{token}"}' if has_token else "}")
    wanted = f'"channel":"{channel}","mode":"{mode}","interval_ms":{interval_ms}'
    wanted += f',"snapshot":{"true" if snapshot else "false"}'
    wanted += ',"since":{since}' if resumes else ""
    return (
        '[{"v":1,"type":"hello","id":1,"payload":' + hello + "},"
        '{"v":1,"type":"subscribe","id":2,"payload":{' + wanted + "}}]",
    )


@contextlib.contextmanager
def connected(options: LoadOptions, timeout: float = _CONNECT_TIMEOUT) -> Iterator[LoadClient]:
    """A load client with all its connections ready."""
    with LoadClient(options, core=SOURCE_CORE) as client:
        client.wait_until_ready(timeout)
        yield client


@contextlib.contextmanager
def tidewire_contender(
    rig: Rig, node: Node, stream: StreamSpec, options: LoadOptions, name: str = TIDEWIRE
) -> Iterator[Contender]:
    def feed(load: Load) -> None:
        keys = options.connections if load.is_private else 1
        rig.publish(stream.name, load.count, load.rate, keys=keys, data_bytes=_DATA_BYTES)

    with connected(options) as client:
        yield Contender(name, node.pid, client, options.connections, feed)


_DATA_BYTES = 100
FRAME_BYTES = 300
"""About what a frame with one such event is; peers that make their own frames make them so long."""


@contextlib.contextmanager
def served(rig: Rig, peer: Peer, topic: str) -> Iterator[RunningPeer]:
    """A peer that is up; one that is fed by Kafka reads ``topic``, which is made."""
    if peer.feed == "kafka":
        rig.make(StreamSpec(topic))
    with running_peer(
        peer, SERVER_CORE, kafka=rig.bootstrap, topic=topic, logs=rig.folder
    ) as running:
        yield running


def peer_options(peer: Peer, running: RunningPeer, connections: int) -> LoadOptions:
    """What a peer's clients do."""
    return LoadOptions(
        url=running.url,
        connections=connections,
        script=peer.script,
        ready=peer.ready or None,
        event=peer.event,
    )


@contextlib.contextmanager
def peer_contender(rig: Rig, peer: Peer | str, connections: int) -> Iterator[Contender]:
    """A peer, by description or by name, with its connections.

    One that is fed by Kafka gets a topic of its own, so that it rests while others are measured.
    """
    peer = BUILT_IN[peer]() if isinstance(peer, str) else peer
    topic = f"peer-{peer.name}"
    with served(rig, peer, topic) as running:

        def feed(load: Load) -> None:
            if peer.feed == "kafka":
                rig.publish(topic, load.count, load.rate, data_bytes=_DATA_BYTES)
            else:
                running.command(_command(load, connections), _SETTLE_TIMEOUT + load.seconds)

        options = peer_options(peer, running, connections)
        with connected(options) as client:
            yield Contender(peer.name, running.pid, client, connections, feed)


def measure(contender: Contender, load: Load, run: int) -> Sample:
    """Give a contender a load and see what it costs; raises ``BenchError`` where an event is lost."""
    contender.client.mark()
    before = cpu_of(contender.pid)
    began = time.monotonic()
    contender.feed(load)
    report = settled(contender.client)
    used = cpu_of(contender.pid).since(before)
    expected = load.count * (1 if load.is_private else contender.connections)
    if report.events != expected:
        raise BenchError(
            f"{contender.name}, {load.name}: {report.events:,} events arrived of {expected:,}"
        )
    latency = report.normal.latency
    return Sample(
        load.name,
        contender.name,
        run,
        {
            "cpu_us_per_delivery": used.total / report.frames * 1e6,
            "cpu_us_per_event": used.total / report.events * 1e6,
            "user_share": used.user / max(used.user + used.system, 1e-9),
            "events_per_frame": report.events / report.frames,
            "frame_bytes": report.bytes / report.frames,
            "frames_per_second": report.frames / (report.seconds or time.monotonic() - began),
            "p50_ms": latency.p50_ms,
            "p99_ms": latency.p99_ms,
            "client_cpu_us_per_delivery": report.cpu.total / report.frames * 1e6,
        },
    )


def settled(client: LoadClient, timeout: float = _SETTLE_TIMEOUT) -> Report:
    """The report once nothing more arrives."""
    deadline = time.monotonic() + timeout
    frames, quiet = -1, 0
    while True:
        report = client.report()
        quiet = quiet + 1 if report.frames == frames and frames else 0
        if quiet >= _SETTLED or time.monotonic() > deadline:
            return report
        frames = report.frames
        time.sleep(_LOOK)


def _command(load: Load, connections: int) -> str:
    if load.is_private:
        rounds = load.rate / connections
        return f"private {rounds:g} {load.count / load.rate:g} {FRAME_BYTES}"
    if load.rate:
        return f"pace {load.rate:g} {load.count / load.rate:g} {FRAME_BYTES}"
    return f"flood {load.count} {FRAME_BYTES}"
