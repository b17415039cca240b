"""Reads stream `flights` from Kafka and tells the followers of a flight what happened to it."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import orjson

from tidewire.config.streams import Stream
from tidewire.errors import TidewireError
from tidewire.kafka.errors import KafkaError, OffsetOutOfRangeError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Record, TopicPartition
from tidewire.publishing import AsyncPublisher
from tidewire.restarts import longest_pause
from tidewire.telemetry.logging import get_logger

from .followers import Followers
from .ledger import Ledger
from .notices import Stage, notice_of, stage_of

__all__ = ["NOTICE_TTL", "Teller"]

NOTICE_TTL: Final = 12 * 3600.0
"""Seconds that a notice waits for a follower who is away."""
_LOOK_BACK: Final = 20_000
"""Records read at the start to know the board as it stands: some days of flights, whose rows stand for hours."""
_MOST_STAGES: Final = 20_000
_MAX_RECORDS: Final = 2_000
_MAX_WAIT: Final = 1.0
_GATHER: Final = 0.25
_AT_ONCE: Final = 200
_log = get_logger("tidewire_flights.following")


class Teller:
    """Tells at least once: how far it got is kept after the notices are safe in Kafka.

    A notice's id is that of the row's record, so that a page recognizes one that is told twice.
    """

    def __init__(
        self,
        reader: RecordReader,
        publisher: AsyncPublisher,
        stream: Stream,
        *,
        followers: Followers,
        ledger: Ledger,
    ) -> None:
        self._reader = reader
        self._publisher = publisher
        self._stream = stream
        self._followers = followers
        self._ledger = ledger
        self._stages: dict[str, Stage] = {}
        self._news_from: dict[int, int] = {}
        """Partition → first offset that followers have not been told of."""

    async def begin(self) -> None:
        """Take up where the last run stopped or, without one, at the end. Raises `TidewireError`."""
        partitions = [TopicPartition(self._stream.topic, n) for n in range(self._stream.partitions)]
        bounds = await self._reader.bounds(partitions)
        told = self._ledger.told(self._stream.epoch)
        share = _LOOK_BACK // len(partitions)
        starts = {}
        for at, (start, end) in bounds.items():
            news_from = min(max(told.get(at.partition, end), start), end)
            self._news_from[at.partition] = news_from
            starts[at] = max(start, min(news_from, end - share))
        await self._reader.assign(starts)

    async def run(self) -> None:
        """Until cancelled; while the broker is away it tries again, ever less often."""
        failures = 0
        while True:
            try:
                await self._step()
                failures = 0
            except OffsetOutOfRangeError as error:
                _log.warning("flights left the log before they were read", reason=str(error))
                await self._pass_over(TopicPartition(error.topic, error.partition))
            except TidewireError as error:
                failures += 1
                _log.warning("flights cannot be read or told", reason=str(error))
                await asyncio.sleep(random.uniform(0, longest_pause(failures)))  # noqa: S311 - no secret

    async def _step(self) -> None:
        fetched = await self._reader.fetch(
            max_records=_MAX_RECORDS, max_wait=_MAX_WAIT, gather=_GATHER
        )
        is_told = False
        for record in fetched.records:
            is_told |= await self._insist(record)
        for at, offset in fetched.next_offsets.items():
            self._news_from[at.partition] = max(self._news_from[at.partition], offset)
        if is_told:
            self.keep()

    def keep(self) -> None:
        """Write down how far everybody has been told."""
        self._ledger.tell(self._stream.epoch, self._news_from)

    async def _insist(self, record: Record) -> bool:
        """Tell of one record, however long that takes; whether there was anything to tell."""
        failures = 0
        while True:
            try:
                return await self._tell(record)
            except TidewireError as error:
                failures += 1
                _log.warning("a notice waits for the broker", reason=str(error))
                await asyncio.sleep(random.uniform(0, longest_pause(failures)))  # noqa: S311 - no secret

    async def _tell(self, record: Record) -> bool:
        flight = (record.key or b"").decode(errors="replace")
        row = _row_of(record)
        now = stage_of(row)
        if row is None or now is None:
            self._stages.pop(flight, None)
            return False
        before = self._stages.get(flight)
        followers = sorted(self._followers.of(flight))
        is_news = record.offset >= self._news_from[record.partition]
        notice = notice_of(flight, before, row, now=now) if followers and is_news else None
        if notice is not None:
            for start in range(0, len(followers), _AT_ONCE):
                await asyncio.gather(
                    *(
                        self._publisher.publish_to_user(
                            visitor,
                            notice,
                            ttl=NOTICE_TTL,
                            collapse_key=flight,
                            message_id=f"{self._stream.epoch}-{record.partition}-{record.offset}",
                        )
                        for visitor in followers[start : start + _AT_ONCE]
                    )
                )
        self._stand(flight, now)
        return notice is not None

    def _stand(self, flight: str, now: Stage) -> None:
        self._stages.pop(flight, None)
        self._stages[flight] = now
        if len(self._stages) > _MOST_STAGES:
            del self._stages[next(iter(self._stages))]

    async def _pass_over(self, partition: TopicPartition) -> None:
        """Go on at the beginning of what the log still has."""
        try:
            bounds = await self._reader.bounds([partition])
        except KafkaError as error:
            _log.warning("the log's beginning is not known yet", reason=str(error))
            return
        others = {
            TopicPartition(self._stream.topic, n): self._news_from[n] for n in self._news_from
        }
        await self._reader.assign(others | {partition: bounds[partition].start})


def _row_of(record: Record) -> Mapping[str, object] | None:
    try:
        row = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None
