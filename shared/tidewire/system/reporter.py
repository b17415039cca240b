"""Write how this process is to `tidewire.system`, every two seconds."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson

from .alarms import Alarms, Rule
from .ending import end_task, tell_fault
from .records import Observation, Process, State, key_of, system_record
from .streams import SYSTEM
from .vitals import ProcessVitals
from .writer import SystemWriter

__all__ = ["EVERY", "Reporter"]

EVERY: Final = 2.0
_TASK_TIMEOUT: Final = 0.5
_LAST_RECORD_TIMEOUT: Final = 0.75
_FAREWELL_TIMEOUT: Final = 0.25


class Reporter:
    """`begin` has it report until `end`. ``observe`` says how the process is; it must raise nothing.

    A process is never worse for it: what Kafka does not take is skipped, and a fault of ours ends the reports alone, with a traceback.
    """

    def __init__(
        self,
        process: Process,
        writer: SystemWriter,
        observe: Callable[[], Awaitable[Observation]],
        rules: Sequence[Rule],
        *,
        every: float = EVERY,
    ) -> None:
        self._process = process
        self._writer = writer
        self._observe = observe
        self._alarms = Alarms(rules)
        self._every = every
        self._vitals = ProcessVitals()
        self._observed = Observation(State.STARTING, {})
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Within the loop."""
        self._task = asyncio.create_task(self._run(), name="report to tidewire.system")
        self._task.add_done_callback(tell_fault("reports"))

    async def end(self) -> None:
        """Say that the process has ended in order; the figures are those of the last record. Takes a second and a half at the very most."""
        if self._task is not None:
            await end_task(self._task, _TASK_TIMEOUT)
        record = self._record(Observation(State.ENDED, self._observed.figures))
        writing = asyncio.create_task(self._write(record), name="last record")
        await asyncio.wait({writing}, timeout=_LAST_RECORD_TIMEOUT)
        await end_task(writing, _FAREWELL_TIMEOUT)

    async def report(self) -> None:
        """One record now."""
        self._observed = await self._observe()
        record = self._record(self._observed)
        record["alarms"] = self._alarms.look(record, time.monotonic())
        await self._write(record)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._vitals.watch())
            tasks.create_task(self._report_regularly())

    async def _report_regularly(self) -> None:
        """At moments that lie whole intervals apart, others than those of processes that started together."""
        loop = asyncio.get_running_loop()
        due_at = loop.time() + random.uniform(0, self._every)  # noqa: S311 - jitter
        while True:
            await asyncio.sleep(due_at - loop.time())
            await self.report()
            late = max(0.0, loop.time() - due_at)
            due_at += self._every * (1 + math.floor(late / self._every))

    def _record(self, observed: Observation) -> dict[str, Any]:
        return system_record(
            self._process,
            observed,
            self._vitals.look(),
            at_ms=time.time_ns() // 1_000_000,
            every_ms=round(self._every * 1000),
        )

    async def _write(self, record: dict[str, Any]) -> None:
        await self._writer.write(SYSTEM, key_of(self._process), orjson.dumps(record))
