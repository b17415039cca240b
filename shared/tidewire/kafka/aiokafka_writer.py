"""The writer on aiokafka: idempotent, acks=all, in the event loop."""

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.conn import CloseReason

from .aiokafka_errors import translate, translated
from .aiokafka_metadata import partition_counts
from .aiokafka_refusals import naming_refusals
from .errors import BrokerUnavailableError, UnknownTopicError
from .log_noise import calm_client_logs
from .oauth import token_source
from .records import NewRecord, RecordPosition, TopicPartition
from .settings import KafkaSettings

__all__ = ["AiokafkaWriter"]

_ATTEMPTS = 3
_FAREWELL = 0.1
# The broker refused these for what an earlier batch left behind; nothing of them was written.
_REFUSED_FOR_ANOTHER = (
    kafka.OutOfOrderSequenceNumber,
    kafka.UnknownProducerId,
    kafka.InvalidProducerEpoch,
    kafka.ProducerFenced,
    kafka.ProducerClosed,
)
# The limit is the batch's, so that a record may be refused for its neighbours: tried again alone.
_BATCH_TOO_LARGE = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError)


class AiokafkaWriter:
    """`RecordWriter` on aiokafka.

    A batch that the broker refuses for good leaves a hole in aiokafka's sequence numbers, and every
    later batch of that partition would be refused too; so the producer is then replaced. Records of one
    partition are queued in the order of their `write` calls.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._partitions_by_topic: dict[str, int] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._turns: dict[TopicPartition, asyncio.Lock] = {}
        self._writes: set[asyncio.Future[None]] = set()
        self._renewing = asyncio.Lock()

    async def start(self) -> None:
        calm_client_logs()
        self._producer = await self._started()

    async def write(self, record: NewRecord) -> RecordPosition:
        done = asyncio.get_running_loop().create_future()
        self._writes.add(done)
        try:
            return await self._write(record)
        finally:
            self._writes.discard(done)
            done.set_result(None)

    async def _write(self, record: NewRecord) -> RecordPosition:
        count = await self.partitions_of(record.topic)
        if not 0 <= record.partition < count:
            raise UnknownTopicError(
                f"topic {record.topic!r} has no partition {record.partition}: it has {count}",
                topic=record.topic,
            )
        try:
            with translated(f"writing to {record.topic}[{record.partition}]", topic=record.topic):
                async with asyncio.timeout(self._settings.delivery_timeout):
                    return await self._deliver(record)
        except BrokerUnavailableError:
            self._partitions_by_topic.pop(record.topic, None)
            if self._producer is None:
                raise
            await self.partitions_of(record.topic)  # the topic may be what is away
            raise

    async def partitions_of(self, topic: str) -> int:
        # In turn: writes that wait for the first answer go on in the order in which they came.
        async with self._asking.setdefault(topic, asyncio.Lock()):
            count = self._partitions_by_topic.get(topic)
            if count is None:
                count = await self._ask_partitions(topic)
                self._partitions_by_topic[topic] = count
            return count

    async def flush(self) -> None:
        with translated(f"waiting for acknowledgements of {self._settings.bootstrap}"):
            async with asyncio.timeout(self._settings.delivery_timeout):
                if writes := tuple(self._writes):
                    await asyncio.wait(writes)
                await self._running().flush()  # records whose `write` was cancelled

    async def close(self) -> None:
        if self._producer is None:
            return
        try:
            await self.flush()
        finally:
            producer, self._producer = self._producer, None
            await self._stop(producer)

    async def abandon(self) -> None:
        if self._producer is None:
            return
        producer, self._producer = self._producer, None
        await _abandon(producer)

    def _running(self) -> AIOKafkaProducer:
        assert self._producer is not None, "start() comes first, and nothing after close()"
        return self._producer

    async def _started(self) -> AIOKafkaProducer:
        tokens = token_source(self._settings.security)
        producer = AIOKafkaProducer(**self._settings.aiokafka_producer(), **tokens)
        try:
            async with naming_refusals(self._settings):
                with translated(f"connecting to Kafka at {self._settings.bootstrap}"):
                    async with asyncio.timeout(self._settings.connect_timeout):
                        await producer.start()
        except BaseException:
            await self._stop(producer)
            raise
        return producer

    async def _deliver(self, record: NewRecord) -> RecordPosition:
        alone = False
        for attempt in range(_ATTEMPTS):
            producer = self._running()
            try:
                return await self._send(producer, record, alone=alone)
            except _BATCH_TOO_LARGE:
                await self._renew(producer)
                if alone:
                    raise
                alone = True
            except _REFUSED_FOR_ANOTHER:
                if self._producer is None:
                    raise BrokerUnavailableError(
                        f"writing to {record.topic}[{record.partition}]: given up without an answer"
                    ) from None
                await self._renew(producer)
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("every attempt returns or raises")

    async def _send(
        self, producer: AIOKafkaProducer, record: NewRecord, *, alone: bool
    ) -> RecordPosition:
        turn = self._turns.setdefault(
            TopicPartition(record.topic, record.partition), asyncio.Lock()
        )
        async with turn:
            try:
                acknowledgement = await producer.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                    headers=list(record.headers),
                )
            except (
                kafka.MessageSizeTooLargeError
            ) as error:  # the client's own limit: nothing was queued
                raise translate(error, f"writing to {record.topic}[{record.partition}]") from error
            if alone:
                await asyncio.wait([acknowledgement])
        written = await acknowledgement
        return RecordPosition(record.topic, record.partition, written.offset)

    async def _renew(self, refused: AIOKafkaProducer) -> None:
        """Put a new producer in the place of one that the broker will refuse from now on."""
        async with self._renewing:
            is_current = self._producer is refused
            if not is_current:
                return
            self._producer = await self._started()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.delivery_timeout):
                await refused.flush()
        await self._stop(refused)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        """Stop aiokafka's producer, which by itself waits for ever while no broker answers.

        Its sender goes first: it stumbles over batches that failed under its hands.
        """
        await asyncio.sleep(0)  # cancelled before its first turn the sender would not end in order
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.request_timeout):
                await producer._sender.close()
        _fail_all(producer)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.request_timeout):
                await producer.stop()

    async def _ask_partitions(self, topic: str) -> int:
        async with naming_refusals(self._settings):
            counts = await partition_counts(
                self._running().client, [topic], within=self._settings.request_timeout
            )
        if topic not in counts:
            raise UnknownTopicError(f"topic {topic!r} does not exist: make it first", topic=topic)
        return counts[topic]


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End aiokafka's producer without a word to the broker, which may never answer.

    It counts as closed before anything is waited for: nothing is left over, though nobody should wait for the end.
    """
    producer._closed = True
    _close_connections(producer)
    sender = producer._sender.sender_task
    try:
        while sender is not None and not sender.done():
            sender.cancel()  # then it waits for its requests, which it cancels the second time
            await asyncio.wait({sender}, timeout=_FAREWELL)
    finally:
        _fail_all(producer)
        _close_connections(producer)
    await producer.client.close()


def _close_connections(producer: AIOKafkaProducer) -> None:
    for connection in list(producer.client._conns.values()):
        connection.close(reason=CloseReason.SHUTDOWN)


def _fail_all(producer: AIOKafkaProducer) -> None:
    """Give up every record that is not acknowledged; nobody has to hear of those that nobody waits for."""
    accumulator = producer._message_accumulator
    batches = [batch for queued in accumulator._batches.values() for batch in queued]
    accumulator._pending_batches.update(batches)  # where one that was sent once is looked for
    batches = list(accumulator._pending_batches)
    accumulator.fail_all(kafka.ProducerClosed())
    for batch in batches:
        for future in (batch.future, batch._drain_waiter, *(f for f, _ in batch._msg_futures)):
            if future.done() and not future.cancelled():
                future.exception()  # which marks it as heard
