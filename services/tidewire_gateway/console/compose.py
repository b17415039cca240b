"""The console of a node, put together."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from fastapi import FastAPI

from tidewire.config.streams import Stream
from tidewire.http.page_guard import host_of_url
from tidewire.identity.internal_keys import InternalKeys
from tidewire.kafka.ports import RecordWriter
from tidewire.system.ending import end_task, tell_fault
from tidewire.system.records import Process
from tidewire.system.reporter import Reporter
from tidewire.system.rules import GATEWAY
from tidewire.system.streams import system_streams
from tidewire.system.writer import SystemWriter
from tidewire.telemetry.metrics import Metrics, create_metrics

from ..instruments import Instruments
from ..node import Node
from ..settings import GatewaySettings
from ..traces import EventTraces
from .door import Door, read_page
from .entrance import make_operators_route
from .flows import FlowLog
from .follow_routes import Follows, make_follow_router
from .following import Following
from .observing import NodeObserver
from .operators import Operators
from .pages import page_mounts

__all__ = ["Console"]


class Console:
    """Made before the node; `begin` within its loop, then `end`. Blocks while it is made.

    ``streams`` are the system's own, for the node to serve; ``flows`` takes what traces tell. ``hosts`` are names that the
    internal port goes by. ``metrics`` are the node's.
    """

    def __init__(self, settings: GatewaySettings, writer: RecordWriter, metrics: Metrics) -> None:
        self.streams: Mapping[str, Stream] = system_streams(epoch=settings.targeted.epoch)
        self._started_at_ms = time.time_ns() // 1_000_000
        address = settings.targeted.address
        names = [settings.internal_host, *settings.console_hosts]
        self.hosts = frozenset(names if address is None else [*names, host_of_url(address)])
        self._address = address
        self._writer = SystemWriter(writer, metrics.tally("system_records_lost_total"))
        flows = metrics.counters("flows_total", "outcome")
        self.flows = FlowLog(self._writer, lambda outcome: flows[outcome].inc())
        self._mounts = page_mounts()
        self._login_page = read_page()
        self._apart = Instruments(create_metrics("gateway"))
        self.operators: Operators | None = None
        self.follows: Follows | None = None
        self._reporter: Reporter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def lost(self) -> int:
        """Records and flows that Kafka did not take."""
        return self._writer.lost

    def guard(self, internal: FastAPI, keys: InternalKeys, setting: str) -> None:
        """Have the internal port ask for a key, operators' browsers by a page."""
        internal.add_middleware(Door, keys=keys, setting=setting, page=self._login_page)

    def serve_on(self, internal: FastAPI) -> None:
        """Add what operators use to the application of the internal port."""
        internal.router.routes.append(make_operators_route(lambda: self.operators))
        internal.include_router(make_follow_router(lambda: self.follows))
        internal.router.routes.extend(self._mounts)

    def begin(
        self, node: Node, traces: EventTraces, streams: Mapping[str, Stream], internal_url: str
    ) -> None:
        """``streams`` are those that the node serves; ``internal_url`` is where its internal port listens."""
        self.operators = Operators(node, self._apart)
        self.follows = Follows(Following(traces.followed_in), streams)
        self._begin_task(self.flows.run(), "write tidewire.flows")
        self._begin_task(self.operators.sweep.run(), "look over operators' connections")
        self._reporter = Reporter(
            Process("gateway", node.name, self._address or internal_url, self._started_at_ms),
            self._writer,
            NodeObserver(node).observe,
            GATEWAY,
        )
        self._reporter.begin()

    async def end(self) -> None:
        """Say that the node has ended, and let go of Kafka; within two seconds, whatever Kafka does."""
        assert self.follows is not None
        assert self._reporter is not None
        self.follows.close()
        try:
            await asyncio.gather(self._reporter.end(), *map(end_task, self._tasks))
        finally:
            await self._writer.close()

    def _begin_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(tell_fault(name))
        self._tasks.append(task)
