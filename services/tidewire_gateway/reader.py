"""Keep the partitions that are wanted assigned, and feed what is read into `Ingest`."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from itertools import groupby

from tidewire.kafka.errors import (
    BrokerUnavailableError,
    KafkaError,
    OffsetOutOfRangeError,
    UnknownTopicError,
)
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, TopicPartition
from tidewire.telemetry.logging import get_logger

from .core.consumer_lag import ConsumerLag, Reach
from .core.demand import Demand
from .core.patience import Patience
from .delivery import Delivery
from .ingest import Ingest
from .instruments import Instruments

__all__ = ["PartitionReader"]

_MAX_RECORDS = 1000
_MAX_WAIT = 0.1
"""Also how long a change of demand may wait for a fetch under way."""
_CHANGE_INTERVAL = 1.0
_TEND_INTERVAL = 1.0
_MEASURE_INTERVAL = 10.0
_MISSING_INTERVAL = 5.0
_ASK_TIMEOUT = 2.0
"""Nothing is fetched while a question is out."""
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class PartitionReader:
    """The one task that talks to the Kafka reader.

    ``log_window`` (seconds) is how far back a partition that is no table begins. ``look_at_topics`` has the
    broker asked whether topics are still those that the node knows; raises ``KafkaError``.
    """

    def __init__(
        self,
        reader: RecordReader,
        demand: Demand,
        ingest: Ingest,
        delivery: Delivery,
        *,
        instruments: Instruments,
        log_window: float,
        demand_changed: asyncio.Event,
        look_at_topics: Callable[[], Awaitable[object]],
        patience: Patience,
    ) -> None:
        self._reader = reader
        self._demand = demand
        self._ingest = ingest
        self._delivery = delivery
        self._instruments = instruments
        self._log_window = log_window
        self._demand_changed = demand_changed
        self._look_at_topics = look_at_topics
        self._patience = patience
        self._is_doubtful = False
        self._to_restart: set[str] = set()
        self._assigned: dict[TopicPartition, int] = {}
        self._missing_until: dict[str, float] = {}
        self._version = demand.version
        self._must_change = False
        self._changed_at = float("-inf")
        self._tended_at = 0.0
        self._measured_at = time.monotonic()
        self._failures = 0
        self._lag = ConsumerLag()
        self._is_started = False

    async def run(self) -> None:
        """Read until cancelled; a broker that is away is waited for, with back-off."""
        try:
            while True:
                try:
                    await self._turn()
                except OffsetOutOfRangeError as error:
                    _log.warning("position is not in the log", error=str(error))
                    self._is_doubtful = True
                    self._let_go({TopicPartition(error.topic, error.partition)})
                except UnknownTopicError as error:
                    await self._let_missing_go(error)
                except KafkaError as error:
                    await self._on_failure(error)
        finally:
            await self._reader.close()

    @property
    def partitions(self) -> int:
        """How many are read now."""
        return len(self._assigned)

    def restart(self, topic: str) -> None:
        """The topic is another one now: what is assigned of it begins anew."""
        self._to_restart.add(topic)
        self._demand_changed.set()

    async def _turn(self) -> None:
        if not self._is_started:
            await self._reader.start()
            self._is_started = True
            self._answered()
        now = time.monotonic()
        if now - self._tended_at >= _TEND_INTERVAL:
            self._tend(now)
        if self._to_restart:
            await self._let_restart_go()
        is_due = self._must_change or self._demand.version != self._version
        if is_due and now - self._changed_at >= _CHANGE_INTERVAL:
            await self._change_assignment()
        if self._assigned:
            await self._fetch(now)
        else:
            await self._idle()

    async def _fetch(self, now: float) -> None:
        fetched = await self._reader.fetch(
            max_records=_MAX_RECORDS, max_wait=_MAX_WAIT, gather=self._patience.gather(now)
        )
        self._patience.heard({p.topic for p in fetched.next_offsets}, time.monotonic())
        self._answered()
        await self._ingest.take(fetched)
        if now - self._measured_at >= _MEASURE_INTERVAL:
            self._measured_at = now
            await self._measure()

    async def _measure(self) -> None:
        """Ask for the ends of what is read: the lag, and who stands beyond a truncated topic."""
        tell_ends = self._delivery.before_ends()
        try:
            async with asyncio.timeout(_ASK_TIMEOUT):
                bounds = await self._reader.bounds(list(self._assigned))
        except (
            KafkaError,
            TimeoutError,
        ) as error:  # what is read tells whether the broker is there
            _log.debug("ends are not known", error=str(error))
            return
        ends = {partition: b.end for partition, b in bounds.items()}
        self._instruments.lag.set(self._ingest.lag(ends))
        reaches = dict(self._reaches(ends))
        lag_time = self._lag.measure(reaches, time.monotonic(), time.time() * 1000)
        self._instruments.lag_time.set(lag_time)
        for partition, bound in bounds.items():
            self._ingest.note_start(partition, bound.start)
        tell_ends(ends)

    def _reaches(
        self, ends: Mapping[TopicPartition, int]
    ) -> Iterator[tuple[TopicPartition, Reach]]:
        for partition, end in ends.items():
            held = self._ingest.held_of(partition)
            if held is not None:
                last_ms = max((log.log[-1].ts_ms for log in held.logs if log.log), default=None)
                yield partition, Reach(held.next_offset, end, last_ms)

    async def _idle(self) -> None:
        self._demand_changed.clear()
        try:
            async with asyncio.timeout(_TEND_INTERVAL):
                await self._demand_changed.wait()
        except TimeoutError:
            return

    def _tend(self, now: float) -> None:
        self._tended_at = now
        self._ingest.tend()
        self._demand.expire(now)
        for topic in [t for t, until in self._missing_until.items() if until <= now]:
            del self._missing_until[topic]
            self._must_change = True

    async def _change_assignment(self) -> None:
        """Assign what is wanted. Demand may change at every await: what is let go is looked at anew."""
        if self._is_doubtful:
            await self._look_at_topics()
            self._is_doubtful = False
        version = self._demand.version
        wanted = {
            p
            for p in self._demand.wanted()
            if p in self._assigned or p.topic not in self._missing_until
        }
        bounds, starts = await self._starts([p for p in wanted if p not in self._assigned])
        kept = {p: start for p, start in self._assigned.items() if p in wanted}
        await self._reader.assign(kept | starts)
        self._must_change = False
        self._version = version
        self._changed_at = time.monotonic()
        gone = self._assigned.keys() - wanted
        self._assigned = kept | starts
        for partition in gone:
            self._ingest.close(partition)
        if back := gone & self._demand.wanted():
            self._delivery.partitions_let_go(frozenset(back))
            self._must_change = True
        for partition, start in starts.items():
            if partition.topic not in self._to_restart:
                self._ingest.open(partition, start, bounds[partition])
                self._lag.begin(partition, self._changed_at)
        self._instruments.partitions.set(len(self._assigned))
        if not self._assigned:
            self._asks_nothing()
        _log.info(
            "partitions assigned", added=len(starts), removed=len(gone), now=len(self._assigned)
        )

    def _asks_nothing(self) -> None:
        """Nothing is measured any more, nor is it known whether the broker is away: the next reader finds out anew."""
        self._instruments.lag.set(0)
        self._instruments.lag_time.set(0)
        if self._failures:
            self._failures = 0
            self._delivery.connected(True)

    async def _starts(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[TopicPartition, Bounds], dict[TopicPartition, int]]:
        """Bounds and beginnings of new partitions, topic by topic: one that cannot be asked hinders no other.

        Raises ``KafkaError`` where none can be asked and nothing is read that would tell of the broker.
        """
        topics = [list(group) for _, group in groupby(sorted(partitions), key=lambda p: p.topic)]
        answers = await asyncio.gather(*map(self._ask, topics))
        bounds: dict[TopicPartition, Bounds] = {}
        starts: dict[TopicPartition, int] = {}
        for answer in answers:
            if not isinstance(answer, KafkaError):
                bounds |= answer[0]
                starts |= answer[1]
        faults = [
            (t[0].topic, a)
            for t, a in zip(topics, answers, strict=True)
            if isinstance(a, KafkaError)
        ]
        if faults and not (self._assigned or starts):
            away = [fault for _, fault in faults if not isinstance(fault, UnknownTopicError)]
            if away:
                raise away[0]
        for topic, fault in faults:
            self._note_missing(topic, fault)
        return bounds, starts

    async def _ask(
        self, partitions: list[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, Bounds], Mapping[TopicPartition, int]] | KafkaError:
        """Bounds and beginnings of one topic's partitions, or why there is no answer."""
        try:
            async with asyncio.timeout(_ASK_TIMEOUT):
                found = await self._reader.bounds(partitions)
                return found, await self._beginnings(partitions[0].topic, found)
        except KafkaError as error:
            return error
        except TimeoutError:
            return BrokerUnavailableError(f"no answer for {_ASK_TIMEOUT:g} s")

    async def _beginnings(
        self, topic: str, bounds: Mapping[TopicPartition, Bounds]
    ) -> dict[TopicPartition, int]:
        """A table begins at its first record, any other partition at the start of the window."""
        if self._ingest.is_table(topic):
            return {p: b.start for p, b in bounds.items()}
        since_ms = int((time.time() - self._log_window) * 1000)
        offsets = await self._reader.offsets_at(dict.fromkeys(bounds, since_ms))
        return {p: max(b.start, offsets[p]) for p, b in bounds.items()}

    def _let_go(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions cannot go on: their subscriptions wait, and they begin anew at the next change."""
        for partition in partitions:
            self._ingest.close(partition)
            self._assigned.pop(partition, None)
        self._delivery.partitions_let_go(frozenset(partitions))
        self._must_change = True

    async def _let_restart_go(self) -> None:
        """Take recreated topics out first: a partition that stays assigned would keep its old offset."""
        topics, self._to_restart = self._to_restart, set()
        gone = [p for p in self._assigned if p.topic in topics]
        if not gone:
            return
        try:
            await self._reader.assign({p: o for p, o in self._assigned.items() if p not in gone})
        except KafkaError:
            self._to_restart |= topics
            raise
        self._let_go(gone)
        self._changed_at = float("-inf")

    async def _let_missing_go(self, error: UnknownTopicError) -> None:
        """A topic is gone while it was read: its partitions go at once, the others stay."""
        topics = {p.topic for p in self._assigned}
        gone = topics if error.topic is None else topics & {error.topic}
        if not gone:
            await self._on_failure(error)
            return
        self._is_doubtful = True
        for topic in gone:
            self._note_missing(topic, error)
        self._let_go([p for p in self._assigned if p.topic in gone])
        self._changed_at = float("-inf")

    def _note_missing(self, topic: str, error: KafkaError) -> None:
        _log.warning("topic cannot be read", topic=topic, error=str(error))
        self._missing_until[topic] = time.monotonic() + _MISSING_INTERVAL

    def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            _log.info("broker answers again")
            self._delivery.connected(True)

    async def _on_failure(self, error: KafkaError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("broker does not answer", error=str(error))
            self._delivery.connected(False)
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
