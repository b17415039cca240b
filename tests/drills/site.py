"""Where a drill takes place: a directory, a broker, topics, nodes, publishing and client processes."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml

from harness.names import unique
from harness.waiting import wait_until

from .attacker import Attack
from .broker import SwitchedKafka, Topics
from .load import Client
from .node import DrillNode, NodeSpec
from .publisher import Flow, UserFlow
from .workers import Worker, start_attacker, start_load, start_proxy, start_publisher

__all__ = ["Scale", "Site", "StreamSpec", "to_stderr"]

T = TypeVar("T")
QUIET_WINDOW = 1.5
QUIET_TIMEOUT = 60.0
WATCH_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything a drill uses, and whether its protection is turned off."""

    is_short: bool = False
    is_sabotaged: bool = False

    def pick(self, *, long: T, short: T) -> T:
        return short if self.is_short else long


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream of a drill and the topic behind it, named afresh for each run."""

    name: str
    partitions: int = 4
    table: bool = False
    min_interval_ms: int = 50
    config: Mapping[str, str] = field(default_factory=dict)
    topic: str = ""
    public: bool = True

    def to_yaml(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "partitions": self.partitions,
            "group": "key-prefix",
            "table": self.table,
            "modes": ["latest"] if self.table else ["latest", "every"],
            "min_interval_ms": self.min_interval_ms,
            "public": self.public,
        }

    def to_config(self) -> dict[str, str]:
        policy = {"cleanup.policy": "compact"} if self.table else {}
        return {**policy, **self.config}


class Site:
    """Everything that it starts, it ends when the block is left. Use it from the main thread."""

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        scale: Scale,
        *,
        kafka: SwitchedKafka | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.folder = folder
        self.scale = scale
        self.bootstrap = bootstrap
        self.topics = Topics(bootstrap)
        self.histories = folder / "histories"
        self.histories.mkdir(parents=True)
        self.streams: dict[str, StreamSpec] = {}
        self.nodes: list[DrillNode] = []
        self.at_end = ExitStack()
        self._kafka = kafka
        self._tell = tell
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for node in self.nodes:
            node.stop()
        self.at_end.close()

    @property
    def kafka(self) -> SwitchedKafka:
        assert self._kafka is not None, "this broker is shared: it cannot be switched off"
        return self._kafka

    def say(self, text: str) -> None:
        """A line of progress."""
        self._tell(text)

    def make_streams(self, *specs: StreamSpec) -> None:
        """Their topics, and the streams file of the nodes."""
        for spec in specs:
            made = replace(spec, topic=unique(spec.name))
            self.topics.create(made.topic, made.partitions, made.to_config())
            self.streams[spec.name] = made
        text = {"streams": {name: spec.to_yaml() for name, spec in self.streams.items()}}
        (self.folder / "streams.yaml").write_text(yaml.safe_dump(text))

    def start_nodes(
        self, count: int, settings: Mapping[str, str] | None = None, **options: Any
    ) -> list[DrillNode]:
        """``options`` are those of `NodeSpec`. Returns all nodes there are."""
        for number in range(len(self.nodes) + 1, len(self.nodes) + count + 1):
            name = f"node-{number}"
            node = DrillNode(
                NodeSpec(
                    name,
                    self.bootstrap,
                    self.folder / "streams.yaml",
                    self.folder / f"{name}.log",
                    dict(settings or {}),
                    **options,
                )
            )
            self.nodes.append(node)
            node.begin()
        for node in self.nodes[-count:]:
            node.wait_until_ready()
        self.say(f"{len(self.nodes)} gateway nodes serve")
        return self.nodes

    def flow(self, stream: str, rate: float, **options: Any) -> Flow:
        spec = self.streams[stream]
        return Flow(spec.topic, spec.partitions, rate, **options)

    def publish(self, *flows: Flow | UserFlow) -> Worker:
        """A process that publishes, once it does."""
        number = len(self._workers) + 1
        worker = start_publisher(self.folder, f"publisher-{number}", self.bootstrap, flows)
        self._workers.append(worker)
        worker.wait_until_ready()
        return worker

    def connect(
        self,
        name: str,
        clients: Sequence[Client],
        *,
        within: float = 30.0,
        quiet: float = QUIET_WINDOW,
    ) -> Worker:
        """A process of recording clients, once each of their subscriptions is answered."""
        worker = start_load(self.folder, name, self.histories, clients, quiet=quiet)
        self._workers.append(worker)
        worker.wait_until_ready(within)
        self.say(f"{len(clients)} clients of {name} are connected")
        return worker

    def connect_all(
        self, name: str, groups: Sequence[Sequence[Client]], *, within: float = 60.0
    ) -> list[Worker]:
        """Processes of recording clients that begin together, once every subscription is answered."""
        workers = [
            start_load(self.folder, f"{name}-{number}", self.histories, clients, quiet=QUIET_WINDOW)
            for number, clients in enumerate(groups)
        ]
        self._workers += workers
        for worker in workers:
            worker.wait_until_ready(within)
        self.say(f"{sum(map(len, groups))} clients of {name} are connected")
        return workers

    def attack(self, name: str, attack: Attack) -> Worker:
        """A process that sends nonsense for as long as it is told."""
        worker = start_attacker(self.folder, name, attack)
        self._workers.append(worker)
        return worker

    def half_open_proxy(self, port: int) -> Worker:
        """A proxy before a port of this machine that falls silent at SIGUSR1."""
        worker = start_proxy(self.folder, port)
        self._workers.append(worker)
        return worker

    def let_run(self, seconds: float, what: str = "load") -> None:
        """Keep the load up; a process that ends by itself ends the drill."""
        self.say(f"{what} for {seconds:g} s")
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.look_after()
            time.sleep(min(left, WATCH_INTERVAL))

    def look_after(self) -> None:
        for worker in self._workers:
            worker.look_after()

    def wait_for(
        self, condition: Callable[[], T | None], what: str, *, within: float = 30.0
    ) -> float:
        """Wait until it holds; the seconds it took."""
        started = time.monotonic()
        wait_until(condition, within=within, what=what)
        return time.monotonic() - started

    def reaches(self, condition: Callable[[], T | None], *, within: float) -> bool:
        """Whether it comes to hold in time."""
        try:
            wait_until(condition, within=within)
        except AssertionError:
            return False
        return True

    def settle(self, quiet: float = QUIET_WINDOW) -> None:
        """Wait until nothing has been written to a client for so many seconds."""
        seen: list[tuple[float, float]] = []

        def is_quiet() -> bool:
            now, written = time.monotonic(), self.total("frames_delivered_total")
            if not seen or seen[-1][1] != written:
                seen.append((now, written))
            return now - seen[-1][0] >= quiet

        wait_until(is_quiet, within=QUIET_TIMEOUT, what="quiet")
        self.say("quiet")

    def total(self, metric: str, **labels: str) -> float:
        """The sum of a metric over the nodes that run."""
        return sum(n.metrics().total(metric, **labels) for n in self.nodes if n.is_running)


def to_stderr(prefix: str) -> Callable[[str], None]:
    """Tells progress on stderr, each line with the seconds since now."""
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"{prefix} {time.monotonic() - began:6.1f} s  {text}\n")
        sys.stderr.flush()

    return tell
