"""The end of a node in order: readiness off, load balancers waited for, clients moved one by one."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tidewire.protocol.codes import CloseCode
from tidewire.telemetry.logging import get_logger

from .connection import Connection
from .core.draining import Departure, DrainStage, departures
from .node import Node

__all__ = ["Drain", "DrainPlan"]

REASON = "draining"
_TICK = 0.02
_CLOSING = 1.0
"""Seconds for the closing handshakes of those who were moved last."""
_SLICE = 100
"""Clients told before the loop turns again."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """``delay`` seconds for load balancers, then ``window`` seconds for the ``connections`` there are."""

    connections: int
    delay: float
    window: float


class Drain:
    """`begin` may come from a signal or a request; `run` waits for it and returns once the node may end.

    ``on_moving`` is called when the first clients are about to be moved.
    """

    def __init__(
        self, node: Node, *, delay: float, window: float, on_moving: Callable[[], None]
    ) -> None:
        self._node = node
        self._delay = delay
        self._window = window
        self._on_moving = on_moving
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Event()

    def begin(self) -> bool:
        """Begin, once; False where it has begun already."""
        if self._begun.is_set():
            return False
        self._node.drain_stage = DrainStage.LEAVING
        self._node.instruments.draining.set(1)
        self._begun.set()
        return True

    def plan(self) -> DrainPlan:
        return DrainPlan(len(self._node.connections), self._delay, self._window)

    async def run(self) -> None:
        """Take at most the delay, the window and a moment for the last to close, from `begin` on."""
        await self._begun.wait()
        node = self._node
        _log.info(
            "draining",
            connections=len(node.connections),
            delay=self._delay,
            window=self._window,
        )
        await asyncio.sleep(self._delay)
        node.drain_stage = DrainStage.MOVING
        self._on_moving()
        told = len(node.connections)
        closed_before = node.closes[CloseCode.SHUTTING_DOWN]
        await self._move()
        closed = node.closes[CloseCode.SHUTTING_DOWN] - closed_before
        left = len(node.connections)
        _log.info("drained", moved=told - closed - left, closed=closed, left=left)

    async def _move(self) -> None:
        """Tell each client at its moment; its connection closes itself where it stays too long."""
        connections = list(self._node.connections)
        waiting = deque(zip(connections, departures(len(connections), self._window), strict=True))
        began_at = self._loop.time()
        while self._node.connections:
            elapsed = self._loop.time() - began_at
            if elapsed >= self._window + _CLOSING:
                return
            is_behind = _tell(waiting, elapsed)
            await asyncio.sleep(0 if is_behind else _TICK)


def _tell(waiting: deque[tuple[Connection, Departure]], elapsed: float) -> bool:
    """Tell those whose moment has come, a slice at most; whether some are left over."""
    for _ in range(_SLICE):
        if not waiting or waiting[0][1].goaway_at > elapsed:
            return False
        connection, departure = waiting.popleft()
        connection.go_away(departure.close_at - elapsed, REASON)
    return True
