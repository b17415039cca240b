"""A service's reports, from when it starts until it has ended."""

import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from ..kafka.ports import RecordWriter
from ..telemetry.metrics import Metrics
from .alarms import Rule
from .records import Observation, Process
from .reporter import Reporter
from .writer import SystemWriter

__all__ = ["instance_name", "reported"]


@asynccontextmanager
async def reported(
    service: str,
    instance: str | None,
    internal: str,
    *,
    writer: RecordWriter | None,
    observe: Callable[[], Awaitable[Observation]],
    rules: Sequence[Rule],
    metrics: Metrics,
) -> AsyncIterator[None]:
    """Tell the console how the process is for as long as the block lasts, and at its end that it has ended.

    ``instance`` is its name, or None; ``internal`` the URL where operators reach it. Owns ``writer``; None: nobody is
    told. ``metrics`` count what Kafka does not take. The end takes two seconds at the most, whatever Kafka does.
    """
    if writer is None:
        yield
        return
    process = Process(service, instance_name(instance), internal, time.time_ns() // 1_000_000)
    system = SystemWriter(writer, metrics.tally("system_records_lost_total"))
    reporter = Reporter(process, system, observe, rules)
    reporter.begin()
    try:
        yield
    finally:
        try:
            await reporter.end()
        finally:
            await system.close()


def instance_name(given: str | None) -> str:
    """What tells a process from others of its service: its name, or where it runs."""
    return given or f"{socket.gethostname()}-{os.getpid()}"
