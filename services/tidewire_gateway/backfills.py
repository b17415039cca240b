"""Read again from Kafka what subscriptions lack and the node no longer holds: once for all who do."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from tidewire.kafka.errors import KafkaError, OffsetOutOfRangeError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Fetched, Record, TopicPartition
from tidewire.telemetry.logging import get_logger

from .ingest import HeldSpan, Ingest
from .instruments import Instruments

__all__ = ["Backfills"]

_GATHER = 0.05
"""Seconds from the first request until reading begins: those who come together are read for together."""
_MARGIN = 1000
"""Offsets read below what was asked for, since the next to come may stand a little further back."""
_MAX_RECORDS = 1000
_MAX_WAIT = 0.2
_RECORD_BYTES = 200
"""Rough cost of a record beside its key and value."""
_FLIGHT_BYTES = 16 * 1024 * 1024
_HELD_BYTES = 64 * 1024 * 1024
_HELD_FOR = 30.0
"""Seconds without a request after which nothing is held any more."""
_FLIGHT_TIMEOUT = 30.0
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class _Flight:
    """What was read of each of ``spans``, until all of it is there or so much that the rest has to wait.

    Something of what was ``wanted`` is there in any case, so that who waits for it can go on.
    """

    def __init__(
        self, spans: Mapping[TopicPartition, range], wanted: Mapping[TopicPartition, int]
    ) -> None:
        self._spans = spans
        self._wanted = wanted
        self._reached = {partition: span.start for partition, span in spans.items()}
        self._bytes = 0
        self.records: dict[TopicPartition, list[Record]] = {partition: [] for partition in spans}

    @property
    def is_over(self) -> bool:
        if all(self._reached[p] >= span.stop for p, span in self._spans.items()):
            return True
        has_got_there = any(self._reached[p] > self._wanted[p] for p in self._spans)
        return has_got_there and self._bytes >= _FLIGHT_BYTES

    @property
    def read(self) -> dict[TopicPartition, range]:
        return {p: range(span.start, self._reached[p]) for p, span in self._spans.items()}

    def take(self, fetched: Fetched) -> None:
        for record in fetched.records:
            span = self._spans.get(place := TopicPartition(record.topic, record.partition))
            if span is not None and record.offset < span.stop:
                self.records[place].append(record)
                self._bytes += len(record.value or b"") + len(record.key or b"") + _RECORD_BYTES
        for place, offset in fetched.next_offsets.items():
            if place in self._spans:
                self._reached[place] = min(offset, self._spans[place].stop)


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
        for partition in wanted:
            self._on_read(partition)

    async def _read(self, wanted: Mapping[TopicPartition, int]) -> None:
        reader = await self._started()
        held = {partition: self._ingest.held_of(partition) for partition in wanted}
        spans = _spans(wanted, held)
        if not spans:
            return
        flight = _Flight(spans, wanted)
        await reader.assign({})
        await reader.assign({partition: span.start for partition, span in spans.items()})
        while not flight.is_over:
            flight.take(await reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT))
        await reader.assign({})
        self._instruments.backfilled("read")
        for place, read in flight.read.items():
            before = held[place]
            if before is not None and read:
                records = flight.records[place]
                size = await self._ingest.keep_past(place, before, read, records)
                self._note(place, len(records), size)

    def _note(self, place: TopicPartition, records: int, size: int) -> None:
        self._instruments.backfill_records.inc(records)
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


def _spans(
    wanted: Mapping[TopicPartition, int], held: Mapping[TopicPartition, HeldSpan | None]
) -> dict[TopicPartition, range]:
    """What is to be read of each partition that is (still) read, and lacks something.

    Somewhat more than was asked for, on both sides: memory forgets meanwhile, and must be met.
    """
    spans = {}
    for partition, offset in wanted.items():
        span = held[partition]
        if span is not None and not all(log.holds(offset) for log in span.logs):
            start = min(offset, max(span.kept_from, offset - _MARGIN))
            margin = max(_MARGIN, (span.complete_from - offset) // 4)
            spans[partition] = range(start, min(span.next_offset, span.complete_from + margin))
    return spans
