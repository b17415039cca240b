"""Read again from Kafka what subscriptions lack and the node no longer holds: once for all who do."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from tidewire.kafka.errors import KafkaError, OffsetOutOfRangeError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Record, TopicPartition
from tidewire.telemetry.logging import get_logger

from .ingest import Ingest
from .instruments import Instruments

__all__ = ["Backfills"]

_GATHER = 0.05
"""Seconds from the first request until reading begins: those who come together are read for together."""
_MARGIN = 1000
"""Offsets read below what was asked for, since the next to come may stand a little further back."""
_MAX_RECORDS = 1000
_MAX_WAIT = 0.2
_FLIGHT_BYTES = 16 * 1024 * 1024
_HELD_BYTES = 64 * 1024 * 1024
_HELD_FOR = 30.0
"""Seconds without a request after which nothing is held any more."""
_FLIGHT_TIMEOUT = 30.0
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class Backfills:
    """One reader of its own, made when it is first needed; one flight at a time.

    A flight covers every partition that was asked for, each from the lowest offset asked for up to what the
    node holds, or until so many bytes are read that the rest has to wait. ``on_read`` is told of each.
    """

    def __init__(
        self,
        make_reader: Callable[[], RecordReader],
        *,
        ingest: Ingest,
        on_read: Callable[[TopicPartition], None],
        instruments: Instruments,
    ) -> None:
        self._make_reader = make_reader
        self._ingest = ingest
        self._on_read = on_read
        self._instruments = instruments
        self._reader: RecordReader | None = None
        self._wanted: dict[TopicPartition, int] = {}
        self._woken = asyncio.Event()
        self._held: dict[TopicPartition, int] = {}
        self._failures = 0

    def want(self, partition: TopicPartition, offset: int) -> None:
        """Read a partition from ``offset`` on, or from lower down where others ask for that."""
        self._wanted[partition] = min(offset, self._wanted.get(partition, offset))
        self._woken.set()

    async def run(self) -> None:
        """Read until cancelled; a broker that is away is waited for, with back-off."""
        try:
            while True:
                try:
                    async with asyncio.timeout(_HELD_FOR):
                        await self._woken.wait()
                except TimeoutError:
                    self._let_go(0)
                    continue
                await asyncio.sleep(_GATHER)
                wanted, self._wanted = self._wanted, {}
                self._woken.clear()
                await self._fly(wanted)
        finally:
            await self._close()

    async def _fly(self, wanted: Mapping[TopicPartition, int]) -> None:
        try:
            async with asyncio.timeout(_FLIGHT_TIMEOUT):
                await self._read(wanted)
        except OffsetOutOfRangeError as error:
            await self._learn_start(TopicPartition(error.topic, error.partition))
        except (KafkaError, TimeoutError) as error:
            await self._on_failure(wanted, error)
        else:
            self._failures = 0
            self._instruments.backfilled("read")
        for partition in wanted:
            self._on_read(partition)

    async def _read(self, wanted: Mapping[TopicPartition, int]) -> None:
        reader = await self._started()
        spans = self._spans(wanted)
        if not spans:
            return
        await reader.assign({})
        await reader.assign({partition: span.start for partition, span in spans.items()})
        records: dict[TopicPartition, list[Record]] = {partition: [] for partition in spans}
        reached = {partition: span.start for partition, span in spans.items()}
        size = 0
        while size < _FLIGHT_BYTES and any(reached[p] < spans[p].stop for p in spans):
            fetched = await reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT)
            for record in fetched.records:
                place = TopicPartition(record.topic, record.partition)
                if place in spans and record.offset < spans[place].stop:
                    records[place].append(record)
                    size += len(record.value or b"")
            for place, offset in fetched.next_offsets.items():
                if place in spans:
                    reached[place] = min(offset, spans[place].stop)
        await reader.assign({})
        for place, span in spans.items():
            await self._keep(place, range(span.start, reached[place]), records[place])

    def _spans(self, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, range]:
        """What is to be read of each partition that is (still) read, and lacks something.

        Somewhat more than was asked for, on both sides: memory forgets meanwhile, and must be met.
        """
        spans = {}
        for partition, offset in wanted.items():
            held = self._ingest.held_of(partition)
            if held is not None and offset < held.complete_from:
                margin = max(_MARGIN, (held.complete_from - offset) // 4)
                start = min(offset, max(held.kept_from, offset - margin))
                end = min(held.next_offset, held.complete_from + margin)
                spans[partition] = range(start, end)
        return spans

    async def _keep(self, place: TopicPartition, span: range, records: list[Record]) -> None:
        if not span:
            return
        size = await self._ingest.keep_past(place, span, records)
        self._instruments.backfill_records.inc(len(records))
        self._held.pop(place, None)
        self._held[place] = size
        self._let_go(_HELD_BYTES)

    def _let_go(self, most: int) -> None:
        """Hold ``most`` bytes, those that were read last."""
        while self._held and sum(self._held.values()) > most:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._ingest.forget_past(oldest)

    async def _learn_start(self, partition: TopicPartition) -> None:
        """Kafka has deleted what was asked for meanwhile: who asked is told what is left."""
        self._instruments.backfilled("deleted")
        with suppress(KafkaError):
            bounds = await (await self._started()).bounds([partition])
            self._ingest.note_start(partition, bounds[partition].start)

    async def _on_failure(self, wanted: Mapping[TopicPartition, int], error: Exception) -> None:
        self._failures += 1
        self._instruments.backfilled("failed")
        if self._failures == 1:
            _log.warning("older events cannot be read", error=str(error))
        await self._close()
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret

    async def _started(self) -> RecordReader:
        if self._reader is None:
            reader = self._make_reader()
            await reader.start()
            self._reader = reader
        return self._reader

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(KafkaError):
                await reader.close()
