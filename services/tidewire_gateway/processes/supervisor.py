"""All nodes behind one port: started together, drained together, one never ended because of another."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Final

import orjson

from tidewire.telemetry.logging import get_logger

from .errors import UnusableNodeError
from .node_process import NodeProcess
from .plan import NodePlan

__all__ = ["Supervisor"]

END_TIMEOUT: Final = 10.0
"""Seconds for a node to end in order; for its drain on top of that."""

_log = get_logger(__name__)


class Supervisor:
    """SIGTERM drains all nodes; a second one, or SIGINT, ends them at once. None outlives its time."""

    def __init__(
        self,
        plans: Sequence[NodePlan],
        command: Sequence[str],
        *,
        drain_time: float,
        is_ready_told: bool,
    ) -> None:
        self._nodes = [NodeProcess(plan, command, self._node_is_ready) for plan in plans]
        self._drain_time = drain_time
        self._is_ready_told = is_ready_told
        self._was_ready = False

    async def run(self) -> None:
        """Return once all nodes have ended as they were told to; raises `UnusableNodeError`."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._end)
        unusable: list[str] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for node in self._nodes:
                    tasks.create_task(node.run())
        except* UnusableNodeError as errors:
            unusable += [str(error) for error in errors.exceptions]
        if unusable:
            raise UnusableNodeError(", ".join(unusable))

    def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        _log.info("draining all nodes", nodes=len(self._nodes))
        self._tell(signal.SIGTERM)
        loop.call_later(self._drain_time + END_TIMEOUT, self._tell, signal.SIGKILL)

    def _end(self) -> None:
        self._tell(signal.SIGINT)
        asyncio.get_running_loop().call_later(END_TIMEOUT, self._tell, signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for node in self._nodes:
            node.end(number)

    def _node_is_ready(self) -> None:
        if self._was_ready or any(node.ready is None for node in self._nodes):
            return
        self._was_ready = True
        _log.info("all nodes are ready", nodes=len(self._nodes))
        if self._is_ready_told:
            ready = {"event": "ready", "nodes": [node.ready for node in self._nodes]}
            sys.stdout.write(orjson.dumps(ready).decode() + "\n")
            sys.stdout.flush()
