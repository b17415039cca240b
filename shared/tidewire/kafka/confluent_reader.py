"""The reader on confluent-kafka: one thread moves small batches, the event loop does the rest."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import methodcaller
from typing import Any

import confluent_kafka as ck

from .caller_thread import CallerThread
from .confluent_errors import translate, translated
from .confluent_gap import Gap
from .confluent_queries import TopicQueries
from .errors import BrokerUnavailableError, OffsetOutOfRangeError, UnknownTopicError
from .log_noise import LIBRDKAFKA_LOGGER, calm_client_logs
from .records import Bounds, Fetched, Header, Record, RecordPosition, TopicPartition
from .settings import KafkaSettings

__all__ = ["ConfluentReader"]

_Message = (
    Any  # the stub types every part as optional, which holds only for messages never consumed
)

_BROKEN_BATCH = {ck.KafkaError._BAD_MSG, ck.KafkaError._BAD_COMPRESSION}
_BESIDE = {ck.KafkaError._AUTO_OFFSET_RESET, ck.KafkaError.OFFSET_OUT_OF_RANGE}
_HARMLESS = _BROKEN_BATCH | {ck.KafkaError._PARTITION_EOF}
_SLICE = 0.1
_MAX_BATCH = 500
_new = tuple.__new__
"""As `Record` itself does it, without the call between: 3 % of all that a record costs a gateway."""
_headers_of = methodcaller("headers")
"""Where a name is no UTF-8 the client returns half-made headers with an error pending. CPython checks for that in
every call but the specialised ones of warm code, which would go on with them, and crash."""


class ConfluentReader:
    """`RecordReader` on confluent-kafka.

    Every call of librdkafka that may block runs on the reader's own thread, one after another; what it
    consumed lies in ``_ready`` until a `fetch` takes it, so that a cancelled `fetch` loses nothing.

    After a broken batch librdkafka reads on at a wrong place and says nothing of the batch's end, so a
    `Gap` is measured by reading from offsets around it; nothing is handed over meanwhile.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: ck.Consumer | None = None
        self._queries: TopicQueries | None = None
        self._thread = CallerThread("tidewire-reader")
        self._ready: deque[_Message] = deque()
        self._next: dict[TopicPartition, int] = {}
        self._parked: set[TopicPartition] = set()
        self._at_end: set[TopicPartition] = set()
        self._known: set[TopicPartition] = set()
        self._gaps: dict[TopicPartition, Gap] = {}
        self._to_seek: dict[TopicPartition, int] = {}
        self._skipped: list[RecordPosition] = []
        self._assigning = asyncio.Lock()
        self._checked_at = 0.0
        self._emptied_at = float("-inf")  # the reader's thread alone looks at it

    async def start(self) -> None:
        calm_client_logs()
        self._queries = TopicQueries(self._settings)
        await self._queries.check_reachable()
        self._client = ck.Consumer(
            self._settings.librdkafka_consumer(), logger=logging.getLogger(LIBRDKAFKA_LOGGER)
        )
        self._checked_at = asyncio.get_running_loop().time()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.request_timeout):
                    await self._thread.call(client.close)
        self._ready.clear()
        self._thread.stop()

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        async with self._assigning:
            await self._started().check_exist(starts.keys() - self._known)
            self._known |= starts.keys()
            kept = self._next.keys() & starts.keys() - self._parked
            gone = self._next.keys() - kept
            new = starts.keys() - kept
            self._next = {tp: self._next[tp] if tp in kept else at for tp, at in starts.items()}
            self._parked.clear()
            self._forget(gone)
            if gone or new:
                await self._thread.call(self._replace, gone, {tp: starts[tp] for tp in new})

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        loop = asyncio.get_running_loop()
        gather = max(gather, self._settings.fetch_gather)
        deadline = loop.time() + max_wait
        if self._ready:
            await asyncio.sleep(0)  # nothing below may wait, and others have their turn
        while True:
            await self._check()
            await self._rest()
            await self._seek()
            if not self._ready:
                wait = min(_SLICE, max(0.0, deadline - loop.time()))
                limit = min(max_records, _MAX_BATCH)
                await self._thread.call(self._consume, limit, wait, gather)
            fetched = self._take(max_records)
            if fetched.next_offsets or loop.time() >= deadline:
                return fetched

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        return await self._started().bounds(partitions)

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return await self._started().offsets_at(times)

    # On the reader's thread.

    def _consume(self, limit: int, wait: float, gather: float) -> None:
        """Wait for one message, then take what is there: `consume` alone waits until it has them all.

        Where the last call found records and left none behind, others gather first; a backlog does not wait.
        """
        client = self._client
        if client is None:
            return
        gathering = self._emptied_at + gather - time.monotonic()
        if gathering > 0:
            time.sleep(gathering)
        with translated("reading from Kafka"):
            first = client.poll(wait)
            if first is not None:
                self._ready.append(first)
                if limit > 1:
                    self._ready.extend(client.consume(num_messages=limit - 1, timeout=0))
                if len(self._ready) >= limit:
                    self._emptied_at = float("-inf")
                elif any(message.error() is None for message in self._ready):
                    self._emptied_at = time.monotonic()

    def _replace(self, gone: Iterable[TopicPartition], new: Mapping[TopicPartition, int]) -> None:
        """Take partitions out and in; the others flow on undisturbed."""
        client = self._client
        if client is None:
            return
        with translated("changing the partitions that are read"):
            if out := [ck.TopicPartition(*tp) for tp in gone]:
                client.incremental_unassign(out)
                left = set(gone)
                kept = [message for message in self._ready if _where(message) not in left]
                self._ready.clear()
                self._ready.extend(kept)
            if into := [ck.TopicPartition(*tp, offset) for tp, offset in new.items()]:
                client.incremental_assign(into)

    def _pause(self, flowing: Mapping[TopicPartition, int]) -> None:
        self._replace(flowing, {})
        time.sleep(self._settings.fetch_pause)
        self._replace((), flowing)

    # In the event loop.

    def _take(self, max_records: int) -> Fetched:
        records: list[Record] = []
        moved: dict[TopicPartition, int] = {}
        ready = self._ready
        while ready and len(records) < max_records:
            error, tp = ready[0].error(), _where(ready[0])
            if tp in self._to_seek or (tp in self._gaps and self._look(ready[0], tp, moved)):
                ready.popleft()
            elif error is None and tp in self._next:
                self._take_run(tp, max_records, records, moved)
            elif error is None:
                ready.popleft()  # read before its partition was let go
            elif moved and error.code() not in _HARMLESS:
                break  # hand these over first; the next fetch reports it
            else:
                self._note(error, ready.popleft(), tp, moved)
        skipped, self._skipped = self._skipped, []
        return Fetched(records, moved, skipped)

    def _take_run(
        self,
        tp: TopicPartition,
        max_records: int,
        records: list[Record],
        moved: dict[TopicPartition, int],
    ) -> None:
        """Take records up to the first message of another partition, or that is none.

        Nearly all that is read passes here: what a record costs, it costs in this loop.
        """
        topic, partition = tp
        ready, begin = self._ready, self._next[tp]
        next_offset = begin
        while ready and len(records) < max_records:
            message = ready.popleft()
            is_same = message.partition() == partition and message.topic() == topic
            if not is_same or message.error() is not None:
                ready.appendleft(message)
                break
            offset = message.offset()
            if offset < next_offset:
                continue
            next_offset = offset + 1
            try:
                headers = _headers_of(message)
            except SystemError:  # a header name; to ask twice would crash
                self._skipped.append(RecordPosition(topic, partition, offset))
                continue
            records.append(
                _new(
                    Record,
                    (
                        topic,
                        partition,
                        offset,
                        message.timestamp()[1],
                        message.key(),
                        message.value(),
                        _without_nulls(headers) if headers else (),
                    ),
                )
            )
        if next_offset > begin:
            self._next[tp] = moved[tp] = next_offset
            self._at_end.discard(tp)

    def _look(
        self, message: _Message, tp: TopicPartition, moved: dict[TopicPartition, int]
    ) -> bool:
        """Learn from what came first at a gap's probe; whether that is all there is to do."""
        error, gap = message.error(), self._gaps[tp]
        if error is not None and error.code() not in _HARMLESS | _BESIDE:
            return False
        if error is not None and error.code() in _BESIDE and message.offset() != gap.probe:
            self._to_seek[tp] = gap.probe
            return True
        is_broken = error is not None and error.code() in _BROKEN_BATCH
        gap = gap.seen(broken=is_broken and message.offset() == gap.base)
        self._gaps[tp] = gap
        self._to_seek[tp] = gap.probe
        if gap.is_measured:
            del self._gaps[tp]
            self._skipped.append(RecordPosition(*tp, max(gap.base, self._next[tp])))
            self._next[tp] = moved[tp] = gap.probe
        return True

    def _find_gap(self, message: _Message, tp: TopicPartition) -> None:
        if tp not in self._next or tp in self._parked:
            return
        base = message.offset()
        gap = Gap(base, max(base, self._next[tp]))
        self._gaps[tp] = gap
        self._to_seek[tp] = gap.probe

    async def _seek(self) -> None:
        if not self._to_seek:
            return
        async with self._assigning:
            seeking = {tp: at for tp, at in self._to_seek.items() if tp in self._next}
            await self._thread.call(self._replace, list(seeking), seeking)
            self._to_seek.clear()

    async def _rest(self) -> None:
        """Let go of everything for a moment at its end, where the broker has no long polls.

        librdkafka would ask it thousands of times a second, and knows no pause of its own; resuming what was
        paused takes it a second.
        """
        flowing = self._next.keys() - self._parked
        is_busy = self._ready or self._to_seek or self._gaps or not flowing <= self._at_end
        if not self._settings.fetch_pause or not flowing or is_busy:
            return
        async with self._assigning:
            self._at_end.clear()
            starts = {tp: at for tp, at in self._next.items() if tp in flowing}
            await self._thread.call(self._pause, starts)

    def _forget(self, gone: Iterable[TopicPartition]) -> None:
        """Drop what is known of broken batches in partitions that begin anew, or are gone."""
        for tp in gone:
            self._gaps.pop(tp, None)
            self._to_seek.pop(tp, None)
            self._at_end.discard(tp)

    def _note(
        self,
        error: ck.KafkaError,
        message: _Message,
        tp: TopicPartition,
        moved: dict[TopicPartition, int],
    ) -> None:
        """Act on what is no record: the end of a partition, a lost place, a fault."""
        code = error.code()
        if code == ck.KafkaError._PARTITION_EOF:
            self._at_end.add(tp)
            if tp in self._next and message.offset() > self._next[tp]:
                self._next[tp] = moved[tp] = message.offset()
        elif code in _BROKEN_BATCH:
            self._find_gap(message, tp)
        elif code in _BESIDE:
            self._on_beside(tp, message.offset())
        elif not error.retriable():
            fault = translate(error, f"reading {tp.topic}[{tp.partition}]", topic=tp.topic)
            if isinstance(fault, UnknownTopicError):
                self._known -= {known for known in self._known if known.topic == tp.topic}
            raise fault

    def _on_beside(self, tp: TopicPartition, offset: int) -> None:
        """Where librdkafka was wrong about its place, after a broken batch, it is put right and asked again."""
        if tp not in self._next or tp in self._parked:
            return
        if offset != self._next[tp]:
            self._to_seek[tp] = self._next[tp]
            return
        self._park(tp)

    def _park(self, tp: TopicPartition) -> None:
        self._parked.add(tp)
        raise OffsetOutOfRangeError(
            f"offset {self._next[tp]} of {tp.topic}[{tp.partition}] is not in its log: "
            "assign the partition anew",
            topic=tp.topic,
            partition=tp.partition,
            offset=self._next[tp],
        )

    async def _check(self) -> None:
        """Ask now and then whether a broker is there, and still has all that is read.

        Always, since others flow on beside a topic that is missing. A broker that owes this answer, while
        records came, is no fault.
        """
        loop = asyncio.get_running_loop()
        if not self._next or loop.time() - self._checked_at < self._settings.silence_timeout:
            return
        before, self._checked_at = self._checked_at, loop.time()
        try:
            await self._check_exist()
        except BrokerUnavailableError:
            await self._thread.call(self._consume, 1, 0.0, 0.0)
            if not any(map(_is_answer, self._ready)):
                self._checked_at = before  # no fetch is good before one was answered
                raise

    async def _check_exist(self) -> None:
        try:
            await self._started().check_exist(
                self._next.keys() - self._parked, within=self._settings.silence_timeout
            )
        except UnknownTopicError:
            self._known.clear()
            raise

    def _started(self) -> TopicQueries:
        assert self._queries is not None, "start() comes first"
        return self._queries


def _is_answer(message: _Message) -> bool:
    """Whether a broker said it: librdkafka also tells when it has given a request up."""
    error = message.error()
    return error is None or error.code() == ck.KafkaError._PARTITION_EOF


def _where(message: _Message) -> TopicPartition:
    return TopicPartition(message.topic(), message.partition())


def _without_nulls(headers: Sequence[tuple[str, bytes | None]]) -> tuple[Header, ...]:
    """The headers as plain data; nulls, which are rare, as empty."""
    for _, content in headers:
        if content is None:
            return tuple((name, content or b"") for name, content in headers)
    return tuple(headers)  # type: ignore[arg-type]  # none is null
