"""Keep the partitions that are wanted assigned, and feed what is read into `Ingest`."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping

from tidewire.kafka.errors import KafkaError, OffsetOutOfRangeError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, TopicPartition
from tidewire.telemetry.logging import get_logger

from .core.demand import Demand
from .ingest import Ingest
from .instruments import Instruments

__all__ = ["PartitionReader"]

_MAX_RECORDS = 1000
_MAX_WAIT = 0.1
"""Also how long a change of demand may wait for a fetch under way."""
_CHANGE_INTERVAL = 1.0
_TEND_INTERVAL = 1.0
_LAG_INTERVAL = 10.0
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class PartitionReader:
    """The one task that talks to the Kafka reader.

    ``log_window`` (seconds) is how far back a partition that is no table begins. ``on_reset`` is called
    with a partition whose position has left the log, before it begins anew; ``on_connected`` with
    whether the broker answers, at every change.
    """

    def __init__(
        self,
        reader: RecordReader,
        demand: Demand,
        ingest: Ingest,
        instruments: Instruments,
        *,
        log_window: float,
        on_reset: Callable[[TopicPartition], None],
        on_connected: Callable[[bool], None],
    ) -> None:
        self._reader = reader
        self._demand = demand
        self._ingest = ingest
        self._instruments = instruments
        self._log_window = log_window
        self._on_reset = on_reset
        self._on_connected = on_connected
        self._wake = asyncio.Event()
        self._assigned: dict[TopicPartition, int] = {}
        self._version = demand.version
        self._must_change = False
        self._changed_at = float("-inf")
        self._tended_at = 0.0
        self._measured_at = time.monotonic()
        self._failures = 0
        self._is_started = False

    def wake(self) -> None:
        """Demand has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Read until cancelled; a broker that is away is waited for, with back-off."""
        try:
            while True:
                try:
                    await self._turn()
                except OffsetOutOfRangeError as error:
                    self._reset(TopicPartition(error.topic, error.partition), error)
                except KafkaError as error:
                    await self._on_failure(error)
        finally:
            await self._reader.close()

    async def _turn(self) -> None:
        if not self._is_started:
            await self._reader.start()
            self._is_started = True
        now = time.monotonic()
        if now - self._tended_at >= _TEND_INTERVAL:
            self._tended_at = now
            self._ingest.tend()
            self._demand.expire(now)
        is_due = self._must_change or self._demand.version != self._version
        if is_due and now - self._changed_at >= _CHANGE_INTERVAL:
            await self._change_assignment()
        if self._assigned:
            await self._fetch(now)
        else:
            await self._idle()

    async def _fetch(self, now: float) -> None:
        fetched = await self._reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT)
        if self._failures:
            self._failures = 0
            _log.info("broker answers again")
            self._on_connected(True)
        await self._ingest.take(fetched)
        if now - self._measured_at >= _LAG_INTERVAL:
            self._measured_at = now
            bounds = await self._reader.bounds(list(self._assigned))
            self._instruments.lag.set(self._ingest.lag({p: b.end for p, b in bounds.items()}))

    async def _idle(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(_TEND_INTERVAL):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _change_assignment(self) -> None:
        version, wanted = self._demand.version, self._demand.wanted()
        new = [p for p in wanted if p not in self._assigned]
        bounds, starts = await self._starts(new)
        kept = {p: start for p, start in self._assigned.items() if p in wanted}
        await self._reader.assign(kept | starts)
        gone = self._assigned.keys() - wanted
        self._assigned = kept | starts
        self._version = version
        self._must_change = False
        self._changed_at = time.monotonic()
        for partition in gone:
            self._ingest.close(partition)
        for partition, start in starts.items():
            self._ingest.open(partition, start, bounds[partition])
        self._instruments.partitions.set(len(self._assigned))
        _log.info("partitions assigned", added=len(starts), removed=len(gone), now=len(wanted))

    async def _starts(
        self, partitions: list[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, Bounds], dict[TopicPartition, int]]:
        """Where new partitions begin: a table at its first record, others at the start of the window."""
        if not partitions:
            return {}, {}
        bounds = await self._reader.bounds(partitions)
        since_ms = int((time.time() - self._log_window) * 1000)
        times = {p: since_ms for p in partitions if not self._ingest.is_table(p.topic)}
        offsets = await self._reader.offsets_at(times) if times else {}
        return bounds, {p: max(bounds[p].start, offsets.get(p, 0)) for p in partitions}

    def _reset(self, partition: TopicPartition, error: KafkaError) -> None:
        """A position has left the log: let the partition go, and begin it anew at the next turn."""
        _log.warning("position is not in the log", error=str(error))
        self._on_reset(partition)
        self._ingest.close(partition)
        self._assigned.pop(partition, None)
        self._must_change = True

    async def _on_failure(self, error: KafkaError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("broker does not answer", error=str(error))
            self._on_connected(False)
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
