"""The console of a node, put together."""

import asyncio
import time
from collections.abc import Mapping

from fastapi import FastAPI

from tidewire.config.streams import Stream
from tidewire.kafka.ports import RecordWriter
from tidewire.system.ending import end_task
from tidewire.system.records import Process
from tidewire.system.reporter import Reporter
from tidewire.system.rules import GATEWAY
from tidewire.system.streams import system_streams
from tidewire.system.writer import SystemWriter

from ..node import Node
from ..settings import GatewaySettings
from ..traces import EventTraces
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

    ``streams`` are the system's own, for the node to serve; ``flows`` takes what traces tell.
    """

    def __init__(self, settings: GatewaySettings, writer: RecordWriter) -> None:
        self.streams: Mapping[str, Stream] = system_streams(epoch=settings.targeted.epoch)
        self._started_at_ms = time.time_ns() // 1_000_000
        self._writer = SystemWriter(writer)
        self.flows = FlowLog(self._writer)
        self._mounts = page_mounts()
        self._operators: Operators | None = None
        self.follows: Follows | None = None
        self._reporter: Reporter | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def lost(self) -> int:
        """Records and flows that Kafka did not take."""
        return self._writer.lost

    def serve_on(self, internal: FastAPI) -> None:
        """Add what operators use to the application of the internal port."""
        internal.router.routes.append(make_operators_route(lambda: self._operators))
        internal.include_router(make_follow_router(lambda: self.follows))
        internal.router.routes.extend(self._mounts)

    def begin(
        self, node: Node, traces: EventTraces, streams: Mapping[str, Stream], internal_url: str
    ) -> None:
        """``streams`` are those that the node serves."""
        self._operators = Operators(node)
        self.follows = Follows(Following(traces.followed_in), streams)
        self._writing = asyncio.create_task(self.flows.run(), name="write tidewire.flows")
        self._reporter = Reporter(
            Process("gateway", node.name, internal_url, self._started_at_ms),
            self._writer,
            NodeObserver(node).observe,
            GATEWAY,
        )
        self._reporter.begin()

    async def end(self) -> None:
        """Say that the node has ended, and let go of Kafka; within a few seconds, whatever Kafka does."""
        assert self._writing is not None
        assert self.follows is not None
        assert self._reporter is not None
        self.follows.close()
        await end_task(self._writing)
        await self._reporter.end()
        await self._writer.close()
