"""One gateway of a run: started again on its ports, with growing pauses, when it ends by itself."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

from ..restarts import STEADY_AFTER, longest_pause
from .errors import ChildFailedError
from .parts import NodePorts, ports_of
from .running import Node, node_of, ready_of

__all__ = ["GatewayNode", "NodeEvents", "NodeProcess", "NodeState"]

MOST_ATTEMPTS: Final = 8
START_TIMEOUT: Final = 60.0


class NodeProcess(Protocol):
    """What a node needs of its process; `Child` has it."""

    def exit_code(self) -> int | None: ...

    def output(self) -> str: ...

    def describe_end(self) -> str: ...

    def failure(self, what: str) -> ChildFailedError: ...


ProcessT = TypeVar("ProcessT", bound=NodeProcess)


class NodeState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"


@dataclass(frozen=True, slots=True)
class NodeEvents:
    """Whom a node tells what: that it is up (again), that it ended and waits ``pause`` seconds."""

    up: Callable[[str, Node], None]
    down: Callable[[str, str, float], None]


class GatewayNode(Generic[ProcessT]):
    """``start`` makes its process on the given ports. `tick` never blocks."""

    def __init__(
        self,
        name: str,
        start: Callable[[NodePorts], ProcessT],
        events: NodeEvents,
        *,
        ports: NodePorts,
        now: float,
    ) -> None:
        self.name = name
        self.node: Node | None = None
        self._start = start
        self._events = events
        self._ports = ports
        self._attempts = 0
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.child = self._start(self._ports)
        self.state = NodeState.STARTING
        self._due_at = now + START_TIMEOUT

    def tick(self, now: float) -> None:
        """Look after the process. Raises `ChildFailedError` when it does not come (back) up."""
        if self.state is NodeState.PAUSING:
            if now >= self._due_at:
                self._begin(now)
        elif self.child.exit_code() is not None:
            self._ended(now)
        elif self.state is NodeState.STARTING:
            self._look_for_ready(now)
        elif now >= self._due_at:
            self._attempts = 0  # it ran long enough to count as well

    def _look_for_ready(self, now: float) -> None:
        message = ready_of(self.child.output())
        if message is not None:
            self.node = node_of(message)
            self._ports = ports_of(self.node)
            self.state = NodeState.RUNNING
            self._due_at = now + STEADY_AFTER
            self._events.up(self.name, self.node)
        elif now >= self._due_at:
            raise self.child.failure(f"was not ready within {START_TIMEOUT:g} s")

    def _ended(self, now: float) -> None:
        how = self.child.describe_end()
        if self.node is None:
            raise self.child.failure(f"failed ({how})")
        self._attempts += 1
        if self._attempts > MOST_ATTEMPTS:
            raise self.child.failure(f"ended {self._attempts} times in a row ({how})")
        pause = random.uniform(0, longest_pause(self._attempts))  # noqa: S311 - no secret
        self.state = NodeState.PAUSING
        self._due_at = now + pause
        self._events.down(self.name, how, pause)
