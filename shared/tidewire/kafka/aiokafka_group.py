"""The reader of a consumer group on aiokafka: sticky assignment, static membership, manual commits."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as ClientPartition
from aiokafka import errors as kafka

from .aiokafka_consumer import consumer_settings, rest_between_fetches
from .aiokafka_errors import translated
from .aiokafka_metadata import partition_counts
from .aiokafka_refusals import naming_refusals
from .confluent_stretch import read_stretch
from .errors import UnknownTopicError
from .groups import GroupFetched, GroupMembership, Missed, PartitionsMovedError
from .log_noise import calm_client_logs
from .ports import GroupListener
from .records import Record, TopicPartition
from .settings import KafkaSettings

__all__ = ["AiokafkaGroupReader"]

# What decoding raises: a header's name that is no UTF-8, a broken length, a wrong checksum.
_UNDECODABLE = (ValueError, kafka.CorruptRecordException)
_LOOK_INTERVAL = 0.02
_Found = Mapping[ClientPartition, Sequence[Any]]


class AiokafkaGroupReader:
    """`GroupReader` on aiokafka, which has no cooperative assignor: every rebalance revokes everything first.

    aiokafka gets past no record that it cannot decode, nor to the rest of its batch; `read_stretch` does,
    in its place.
    """

    def __init__(self, settings: KafkaSettings, topic: str, membership: GroupMembership) -> None:
        self._settings = settings
        self._topic = topic
        self._membership = membership
        self._listener: GroupListener | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._told: dict[TopicPartition, int] = {}
        self._missed: list[Missed] = []
        self._lost: dict[ClientPartition, int | None] = {}
        self._undecodable_in: ClientPartition | None = None

    async def start(self, listener: GroupListener) -> None:
        calm_client_logs()
        self._listener = listener
        self._consumer = await self._joining(listener)

    async def fetch(self, *, max_records: int, max_wait: float) -> GroupFetched:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max_wait
        consumer = await self._joined()
        with translated(f"reading {self._topic}", topic=self._topic):
            while True:
                consumer._coordinator.check_errors()
                await self._set_right(consumer)
                if self._undecodable_in is not None:
                    return await self._read_around(consumer, self._undecodable_in, max_records)
                fetched = self._fetched(consumer, await self._found(consumer, max_records))
                left = deadline - loop.time()
                if fetched.next_offsets or fetched.missed or left <= 0:
                    return fetched
                if not self._lost and self._undecodable_in is None:
                    await _until_there(consumer, left)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        consumer = self._running()
        with translated(f"committing offsets of {self._topic}", topic=self._topic):
            try:
                async with asyncio.timeout(self._settings.request_timeout):
                    await consumer.commit({ClientPartition(*tp): at for tp, at in offsets.items()})
            except (kafka.CommitFailedError, kafka.IllegalStateError) as error:
                raise PartitionsMovedError(
                    f"the group has rebalanced: offsets of {self._topic} were not committed"
                ) from error

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        consumer = self._running()
        consumer.pause(*(consumer.assignment() & _for_client(partitions)))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        consumer = self._running()
        consumer.resume(*(consumer.assignment() & _for_client(partitions)))

    async def lags(self) -> Mapping[TopicPartition, int]:
        consumer = self._running()
        assigned = sorted(consumer.assignment())
        if not assigned:
            return {}
        with translated(f"asking for the ends of {self._topic}", topic=self._topic):
            async with asyncio.timeout(self._settings.request_timeout):
                starts = await consumer.beginning_offsets(assigned)
                ends = await consumer.end_offsets(assigned)
                committed = await asyncio.gather(*(_committed(consumer, tp) for tp in assigned))
        return {
            TopicPartition(*tp): max(0, ends[tp] - (starts[tp] if at is None else at))
            for tp, at in zip(assigned, committed, strict=True)
        }

    async def close(self) -> None:
        self._listener = None
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await self._stop(consumer)

    def moved(self) -> None:
        """The group has rebalanced: what was found out about positions holds no more."""
        self._told.clear()
        self._lost.clear()
        self._undecodable_in = None

    def _running(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "start() comes first, and nothing after close()"
        return self._consumer

    async def _joined(self) -> AIOKafkaConsumer:
        """The consumer; another one where the old one's membership has ended for good."""
        assert self._listener is not None, "start() comes first, and nothing after close()"
        consumer = self._consumer
        if consumer is not None and _is_over(consumer):
            assigned = consumer.assignment()
            if assigned:
                await self._listener.on_revoked([TopicPartition(*tp) for tp in assigned])
            self._consumer = None
            await self._stop(consumer)
        if self._consumer is None:
            self._consumer = await self._joining(self._listener)
        return self._consumer

    async def _joining(self, listener: GroupListener) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**consumer_settings(self._settings, self._membership))
        try:
            async with naming_refusals(self._settings):
                with translated(f"connecting to Kafka at {self._settings.bootstrap}"):
                    async with asyncio.timeout(self._settings.connect_timeout):
                        await consumer.start()
            within = self._settings.request_timeout
            if not await partition_counts(consumer._client, [self._topic], within=within):
                raise UnknownTopicError(
                    f"topic {self._topic!r} does not exist: make it first", topic=self._topic
                )
        except BaseException:
            await self._stop(consumer)
            raise
        if self._settings.fetch_pause:
            rest_between_fetches(consumer, self._settings.fetch_pause)
        self.moved()
        consumer.subscribe([self._topic], listener=_Listener(self, listener))
        return consumer

    async def _stop(self, consumer: AIOKafkaConsumer) -> None:
        """Leave and disconnect; aiokafka by itself waits for ever while no broker answers."""
        coordinator = consumer._coordinator
        if coordinator is not None:
            coordinator._group_instance_id = None  # or it would not tell the group that it leaves
        if await self._has_stopped(consumer):
            return
        if coordinator is not None:
            coordinator._coordination_task.cancel()
        with contextlib.suppress(TimeoutError, kafka.KafkaError):
            async with asyncio.timeout(self._settings.request_timeout):
                await consumer._client.close()

    async def _has_stopped(self, consumer: AIOKafkaConsumer) -> bool:
        """In a task of its own: where aiokafka ends one of its tasks amid its work, that cancels who waits for it."""
        stopping = asyncio.create_task(consumer.stop(), name=f"leave the group of {self._topic}")
        try:
            await asyncio.wait([stopping], timeout=self._settings.request_timeout)
        finally:
            stopping.cancel()
        await asyncio.wait([stopping])
        if stopping.cancelled():
            return False
        error = stopping.exception()
        if error is not None and not isinstance(error, TimeoutError | kafka.KafkaError):
            raise error
        return error is None

    async def _set_right(self, consumer: AIOKafkaConsumer) -> None:
        """Go on at the beginning of partitions whose position is not in their log (None: there is none)."""
        if not self._lost:
            return
        positions, self._lost = self._lost, {}
        async with asyncio.timeout(self._settings.request_timeout):
            starts = await consumer.beginning_offsets(list(positions))
        for tp, position in positions.items():
            if tp not in consumer.assignment():
                continue  # it has moved meanwhile
            consumer.seek(tp, starts[tp])
            if position is not None:
                self._missed.append(Missed(tp.topic, tp.partition, position, starts[tp]))

    async def _found(self, consumer: AIOKafkaConsumer, max_records: int) -> _Found:
        """What is there, each partition by itself: an error would cost what was taken of others before it.

        Nothing here waits, so that what was found stays assigned.
        """
        found: dict[ClientPartition, Sequence[Any]] = {}
        if consumer._subscription.reassignment_in_progress:
            return found
        left = max_records
        for tp in sorted(consumer._fetcher._records.keys() & consumer.assignment()):
            if left == 0:
                break
            try:
                found |= await consumer.getmany(tp, timeout_ms=0, max_records=left)
            except kafka.NoOffsetForPartitionError:  # the group has committed nothing
                self._lost[tp] = None
            except kafka.OffsetOutOfRangeError as error:
                self._lost |= error.args[0]
            except _UNDECODABLE:
                self._undecodable_in = tp
                break
            left = max_records - sum(map(len, found.values()))
        return found

    async def _read_around(
        self, consumer: AIOKafkaConsumer, tp: ClientPartition, max_records: int
    ) -> GroupFetched:
        """Read a stretch that aiokafka cannot decode by the other client, and go on behind it."""
        self._undecodable_in = None
        assignment = consumer._subscription.subscription.assignment
        where, start = TopicPartition(*tp), assignment.state_value(tp).position
        fetched = await read_stretch(self._settings, where, start, max_records)
        subscription = consumer._subscription
        if not assignment.active or subscription.reassignment_in_progress:
            return GroupFetched({}, {})
        self._told[where] = fetched.next_offsets[where]
        consumer.seek(tp, fetched.next_offsets[where])
        records = {where: fetched.records} if fetched.records else {}
        return GroupFetched(records, fetched.next_offsets, fetched.undecodable)

    def _fetched(self, consumer: AIOKafkaConsumer, found: _Found) -> GroupFetched:
        missed, self._missed = self._missed, []
        records = {TopicPartition(*tp): [_record(r) for r in batch] for tp, batch in found.items()}
        return GroupFetched(records, self._moved(consumer, found), (), missed)

    def _moved(self, consumer: AIOKafkaConsumer, found: _Found) -> dict[TopicPartition, int]:
        """Where partitions stand that moved, also over what yields no record."""
        moved = {}
        for tp in consumer.assignment():
            state = consumer._subscription.subscription.assignment.state_value(tp)
            if not state.has_valid_position:
                continue
            where = TopicPartition(*tp)
            before = self._told.get(where)
            if tp in found or (before is not None and before != state.position):
                moved[where] = state.position
            self._told[where] = state.position
        return moved


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    def __init__(self, reader: AiokafkaGroupReader, listener: GroupListener) -> None:
        self._reader = reader
        self._listener = listener

    async def on_partitions_revoked(self, revoked: Collection[ClientPartition]) -> None:
        if revoked:
            await self._listener.on_revoked([TopicPartition(*tp) for tp in sorted(revoked)])

    async def on_partitions_assigned(self, assigned: Collection[ClientPartition]) -> None:
        self._reader.moved()
        await self._listener.on_assigned([TopicPartition(*tp) for tp in sorted(assigned)])


def _is_over(consumer: AIOKafkaConsumer) -> bool:
    """Whether its membership has ended by an error that aiokafka knows no way out of."""
    coordination: asyncio.Task[None] = consumer._coordinator._coordination_task
    return coordination.done() and (
        coordination.cancelled() or coordination.exception() is not None
    )


async def _until_there(consumer: AIOKafkaConsumer, max_wait: float) -> None:
    """Return when records, or an error, may have come; while the group rebalances, soon."""
    if consumer._subscription.reassignment_in_progress:
        await asyncio.sleep(min(max_wait, _LOOK_INTERVAL))
        return
    waiter = consumer._fetcher._create_fetch_waiter()
    try:
        await asyncio.wait([waiter], timeout=max_wait)
        if waiter.done():
            waiter.result()  # a coordinator's error
    finally:
        waiter.cancel()


async def _committed(consumer: AIOKafkaConsumer, tp: ClientPartition) -> int | None:
    offset: int | None = await consumer.committed(tp)
    return offset


def _for_client(partitions: Collection[TopicPartition]) -> set[ClientPartition]:
    return {ClientPartition(*tp) for tp in partitions}


def _record(record: Any) -> Record:
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )
