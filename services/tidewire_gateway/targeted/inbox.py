"""Read the node's inbox: one partition, from the end it had when the lease began."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from tidewire.kafka.errors import KafkaError, OffsetOutOfRangeError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Record, TopicPartition
from tidewire.targeting.errors import BadMessageError
from tidewire.targeting.messages import Letter, letter_of
from tidewire.telemetry.logging import get_logger

from ..core.lease_clock import LeaseClock
from ..core.sampling import SampledEvent
from ..instruments import Instruments
from ..traces import EventTraces
from .letters import sampled_letter

__all__ = ["Inbox"]

_MAX_RECORDS = 500
_MAX_WAIT = 0.1
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class Deliver(Protocol):
    def __call__(self, letter: Letter, event: SampledEvent | None = None, /) -> None: ...


class Inbox:
    """Hands over the letters that are for the lease as it is now, in order; counts those of another epoch.

    ``on_hole`` is called where records may have been missed: the mailboxes tell. ``traces`` are told of sampled letters.
    """

    def __init__(
        self,
        reader: RecordReader,
        topic: str,
        *,
        clock: LeaseClock,
        deliver: Deliver,
        on_hole: Callable[[], None],
        instruments: Instruments,
        traces: EventTraces | None = None,
    ) -> None:
        self._traces = traces
        self._reader = reader
        self._topic = topic
        self._clock = clock
        self._deliver = deliver
        self._on_hole = on_hole
        self._instruments = instruments
        self._is_started = False
        self._failures = 0
        self._reading = asyncio.Lock()
        self._partition: TopicPartition | None = None
        self._opened = asyncio.Event()

    async def open(self, slot: int) -> None:
        """Go on with this slot, from its end as it is now. Raises ``KafkaError``."""
        async with self._reading:
            if not self._is_started:
                await self._reader.start()
                self._is_started = True
            await self._assign(TopicPartition(self._topic, slot))
        self._opened.set()

    async def run(self) -> None:
        """Read until cancelled; a broker that is away is waited for."""
        try:
            await self._opened.wait()
            while True:
                try:
                    async with self._reading:
                        fetched = await self._reader.fetch(
                            max_records=_MAX_RECORDS, max_wait=_MAX_WAIT
                        )
                except OffsetOutOfRangeError as error:
                    _log.warning("the inbox has lost records", error=str(error))
                    await self._begin_again()
                except KafkaError as error:
                    await self._pause(error)
                else:
                    self._failures = 0
                    for record in fetched.records:
                        self._take(record)
                await asyncio.sleep(0)  # who wants to open another slot has its turn
        finally:
            await self._reader.close()

    def _take(self, record: Record) -> None:
        try:
            epoch, letter = letter_of(record)
        except BadMessageError as error:
            self._instruments.letter("unreadable")
            _log.warning("inbox record skipped", offset=record.offset, error=str(error))
            return
        if not self._clock.accepts(epoch, asyncio.get_running_loop().time()):
            self._instruments.letter("fenced")
        elif self._traces is None or (event := sampled_letter(letter, record)) is None:
            self._deliver(letter)
        else:
            ended = self._traces.taken(event, record.topic)
            self._deliver(letter, event)
            if ended is not None:
                ended()

    async def _assign(self, partition: TopicPartition) -> None:
        await self._reader.assign({})  # a slot that comes back begins at its end too
        bounds = await self._reader.bounds([partition])
        await self._reader.assign({partition: bounds[partition].end})
        self._partition = partition

    async def _begin_again(self) -> None:
        assert self._partition is not None
        try:
            async with self._reading:
                await self._assign(self._partition)
        except KafkaError as error:
            await self._pause(error)
        self._on_hole()

    async def _pause(self, error: KafkaError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("inbox cannot be read", error=str(error))
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter
