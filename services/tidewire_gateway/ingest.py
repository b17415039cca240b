"""Records into events: decode, keep in the partition's log, offer to the feeds that want them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from tidewire.kafka.records import Bounds, Fetched, Record, RecordPosition, TopicPartition
from tidewire.telemetry.logging import get_logger

from .core.decoding import Decoder, Rejected, RejectReason
from .core.events import Event
from .core.feed_index import FeedIndex, StreamFeeds, well_placed
from .core.feeds import Feed, Topology
from .core.history import History
from .core.partition_log import PartitionLog, Past
from .core.sampling import SampledEvent
from .fanout import Fanout
from .instruments import Instruments
from .timers import Timers
from .traces import EventTraces

__all__ = ["HeldSpan", "Ingest"]

_TURN = 0.005
"""Seconds of work before the loop may do something else."""

_log = get_logger(__name__)


class _Source:
    """A stream's topic being read: how to decode it, and where each partition counts as caught up."""

    __slots__ = ("decoder", "feeds", "live_from", "name", "stream", "topology", "traces")

    def __init__(
        self,
        name: str,
        topology: Topology,
        decoder: Decoder,
        feeds: StreamFeeds,
        traces: EventTraces | None,
    ) -> None:
        self.traces = traces
        self.name = name
        self.stream = decoder.stream
        self.topology = topology
        self.decoder = decoder
        self.feeds = feeds
        self.live_from: dict[int, int] = {}


class HeldSpan(NamedTuple):
    """Offsets of a partition: where Kafka begins, where memory begins, and the next to be read.

    ``logs`` hold it; they are others once the partition was let go, or its topic recreated.
    """

    kept_from: int
    complete_from: int
    next_offset: int
    logs: Sequence[PartitionLog]


class Ingest:
    """Takes what the reader fetched, in order.

    ``on_live`` is called with the name of a stream of which a partition has caught up, ``on_advanced``
    after every fetch.
    """

    def __init__(
        self,
        index: FeedIndex,
        fanout: Fanout,
        instruments: Instruments,
        history: History,
        *,
        timers: Timers,
        on_live: Callable[[str], None],
        on_advanced: Callable[[], None],
    ) -> None:
        self._index = index
        self._fanout = fanout
        self._instruments = instruments
        self._history = history
        self._on_live = on_live
        self._on_advanced = on_advanced
        self._by_topic: dict[str, list[_Source]] = {}
        self._timers = timers

    def forget(self, stream: str) -> None:
        """The stream's topic is another one now: nothing that is held is of it."""
        for source in (s for sources in self._by_topic.values() for s in sources):
            if source.name == stream:
                for log in source.topology.logs.values():
                    self._history.forget(log)
                source.topology.logs.clear()
                source.topology.live.clear()

    def add_stream(
        self,
        name: str,
        topology: Topology,
        decoder: Decoder,
        traces: EventTraces | None = None,
    ) -> None:
        """Serve a stream from its topic; several streams may share one. ``traces`` are told of its news."""
        source = _Source(name, topology, decoder, self._index.feeds_of(name), traces)
        self._by_topic.setdefault(topology.topic, []).append(source)

    def held_of(self, partition: TopicPartition) -> HeldSpan | None:
        """What is held of a partition; None where it is not read."""
        logs = [log for _, log in self._held(partition)]
        if not logs:
            return None
        return HeldSpan(
            max(log.kept_from for log in logs),
            max(log.complete_from for log in logs),
            min(log.next_offset for log in logs),
            logs,
        )

    def note_start(self, partition: TopicPartition, start: int) -> None:
        """Kafka has no longer what lies before ``start``."""
        for _, log in self._held(partition):
            log.kept_from = max(log.kept_from, start)

    async def keep_past(
        self,
        partition: TopicPartition,
        held: HeldSpan,
        span: range,
        records: Sequence[Record],
    ) -> int:
        """Hold the events of an older ``span`` of offsets for a while; returns their bytes.

        ``held`` is what was held when they were asked for: a log that began since is of another past.
        """
        size = 0
        for source, log in self._held(partition):
            if log not in held.logs:
                continue
            events = await self._decoded(source, records)
            size += sum(len(event.encoded) for event in events)
            past = log.past
            if past is not None and span.start <= past.start <= span.stop < past.end:
                events += [event for event in past.events if event.offset >= span.stop]
                log.past = Past(span.start, past.end, events)
            else:
                log.past = Past(span.start, span.stop, events)
        return size

    def forget_past(self, partition: TopicPartition) -> None:
        for _, log in self._held(partition):
            log.past = None

    def is_table(self, topic: str) -> bool:
        return any(source.stream.table for source in self._by_topic[topic])

    def open(self, partition: TopicPartition, start: int, bounds: Bounds) -> None:
        """Begin a partition at ``start``; it is live once everything below ``bounds.end`` was read."""
        for source in self._by_topic[partition.topic]:
            source.topology.logs[partition.partition] = PartitionLog(
                start, is_table=source.stream.table, kept_from=bounds.start
            )
            source.live_from[partition.partition] = bounds.end
            self._check_live(source, partition.partition)

    def close(self, partition: TopicPartition) -> None:
        """Forget a partition that nobody needs any more."""
        for source in self._by_topic[partition.topic]:
            source.topology.live.discard(partition.partition)
            log = source.topology.logs.pop(partition.partition, None)
            if log is not None:
                self._history.forget(log)

    async def take(self, fetched: Fetched) -> None:
        """Work through one fetch, yielding to the loop every few milliseconds."""
        records = iter(fetched.records)
        while self._take_turn(records):  # noqa: ASYNC110 - works, and waits for nothing
            await asyncio.sleep(0)
        self._instruments.consumed.inc(len(fetched.records))
        for place in fetched.undecodable:
            self._skip(RejectReason.UNDECODABLE, place)
        for partition, next_offset in fetched.next_offsets.items():
            self._advance(partition, next_offset)
        self._on_advanced()

    def tend(self) -> None:
        """Let go of what is too old, in every partition."""
        now_ms = _now_ms()
        for _, log in self._logs():
            self._history.tend(log, now_ms)

    def lag(self, ends: Mapping[TopicPartition, int]) -> int:
        """Records between what was read and the given ends."""
        read = {partition: log.next_offset for partition, log in self._logs()}
        return sum(max(0, end - read.get(partition, end)) for partition, end in ends.items())

    def _take_turn(self, records: Iterator[Record]) -> bool:
        """Take records for one turn of the loop; whether there may be more."""
        turn_ends = time.monotonic() + _TURN
        now = self._timers.time()
        for record in records:
            for source in self._by_topic.get(record.topic, ()):
                log = source.topology.logs.get(record.partition)
                if log is not None and record.offset >= log.next_offset:
                    self._take_record(source, log, record, now)
            if time.monotonic() > turn_ends:
                return True
        return False

    def _take_record(self, source: _Source, log: PartitionLog, record: Record, now: float) -> None:
        try:
            event = source.decoder.decode(record)
        except Rejected as rejected:
            self._skip(rejected.reason, record)
            log.advance(record.offset + 1)
            return
        if event.partition not in source.topology.live:
            self._history.load(log, event, _now_ms())
            self._offer(source, event, now)
            return
        self._history.append(log, event)
        sampled = (
            None if source.traces is None else source.traces.look(record, event.entity, source.name)
        )
        if sampled is None:
            self._offer(source, event, now)
        else:
            self._offer_sampled(source, event, sampled, now)

    def _offer(self, source: _Source, event: Event, now: float) -> None:
        for feed in source.feeds.whole:
            self._fanout.offer(feed, event, now)
        feeds = source.feeds.by_group.get(event.group)
        if feeds is not None:
            self._offer_to_group(feeds, event, now)

    def _offer_sampled(
        self, source: _Source, event: Event, sampled: SampledEvent, now: float
    ) -> None:
        """Noted first: an offer may flush at once."""
        assert source.traces is not None
        end = source.traces.taken(sampled, source.topology.topic)
        if sampled.place is not None:
            group = source.feeds.by_group.get(event.group, ())
            for feed in chain(source.feeds.whole, well_placed(group, event)):
                feed.note(sampled)
        self._offer(source, event, now)
        if end is not None:
            end()

    def _offer_to_group(self, feeds: Sequence[Feed], event: Event, now: float) -> None:
        reached = well_placed(feeds, event)
        if len(reached) < len(feeds):
            self._instruments.misplaced.inc()
        for feed in reached:
            self._fanout.offer(feed, event, now)

    async def _decoded(self, source: _Source, records: Sequence[Record]) -> list[Event]:
        """Records read once more as events; those that cannot be any were counted when they were new."""
        events: list[Event] = []
        turn_ends = time.monotonic() + _TURN
        for record in records:
            with contextlib.suppress(Rejected):
                events.append(source.decoder.decode(record))
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN
        return events

    def _held(self, partition: TopicPartition) -> list[tuple[_Source, PartitionLog]]:
        """What is held of a partition, per stream."""
        sources = self._by_topic.get(partition.topic, ())
        logs = [(source, source.topology.logs.get(partition.partition)) for source in sources]
        return [(source, log) for source, log in logs if log is not None]

    def _skip(self, reason: RejectReason, place: Record | RecordPosition) -> None:
        self._instruments.rejected(reason)
        _log.warning(
            "record skipped",
            reason=str(reason),
            topic=place.topic,
            partition=place.partition,
            offset=place.offset,
        )

    def _advance(self, partition: TopicPartition, next_offset: int) -> None:
        for source in self._by_topic.get(partition.topic, ()):
            log = source.topology.logs.get(partition.partition)
            if log is not None:
                log.advance(next_offset)
                self._check_live(source, partition.partition)

    def _check_live(self, source: _Source, partition: int) -> None:
        topology = source.topology
        if (
            partition not in topology.live
            and topology.logs[partition].next_offset >= source.live_from[partition]
        ):
            topology.live.add(partition)
            self._on_live(source.name)

    def _logs(self) -> Iterator[tuple[TopicPartition, PartitionLog]]:
        for topic, sources in self._by_topic.items():
            for source in sources:
                for partition, log in source.topology.logs.items():
                    yield TopicPartition(topic, partition), log


def _now_ms() -> int:
    return int(time.time() * 1000)
