"""A service's reports, put together: from when it starts until it has ended."""

import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

from ..kafka.ports import RecordWriter
from ..telemetry.tallies import Tally
from .alarms import Rule
from .records import Observation, Process
from .reporter import Reporter
from .writer import SystemWriter

__all__ = ["Reporting", "instance_name"]


class Reporting:
    """`begin` and `end` within the loop. Owns ``writer``. ``internal``: URL where operators reach the process.

    ``lost`` counts records that Kafka does not take.
    """

    def __init__(
        self,
        service: str,
        instance: str,
        internal: str,
        *,
        writer: RecordWriter,
        observe: Callable[[], Awaitable[Observation]],
        rules: Sequence[Rule],
        lost: Tally | None = None,
    ) -> None:
        process = Process(service, instance, internal, time.time_ns() // 1_000_000)
        self._writer = SystemWriter(writer, lost)
        self._reporter = Reporter(process, self._writer, observe, rules)

    def begin(self) -> None:
        self._reporter.begin()

    async def end(self) -> None:
        """Say that the process has ended, and let go of Kafka; within two seconds, whatever Kafka does."""
        try:
            await self._reporter.end()
        finally:
            await self._writer.close()


def instance_name(given: str | None) -> str:
    """What tells a process from others of its service: its name, or where it runs."""
    return given or f"{socket.gethostname()}-{os.getpid()}"
