"""What every writer does, in an event loop and in a thread, over every broker."""

import asyncio
from collections.abc import Iterator

import pytest

from contract.backends import RECENT_MS, Backend, MemoryBackend, new_topic
from contract.reading import numbered, read_until
from tidewire.kafka.errors import BufferFullError, RecordTooLargeError, UnknownTopicError
from tidewire.kafka.ports import RecordWriter, SyncRecordWriter
from tidewire.kafka.records import NewRecord, Record, RecordPosition, TopicPartition


@pytest.fixture
def sync_writer(backend: Backend) -> Iterator[SyncRecordWriter]:
    writer = backend.sync_writer()
    yield writer
    writer.close(20.0)


async def everything_in(backend: Backend, topic: str, partition: int = 0) -> list[Record]:
    where = TopicPartition(topic, partition)
    reader = backend.reader()
    await reader.start()
    try:
        end = (await reader.bounds([where]))[where].end
        await reader.assign({where: 0})
        read = await read_until(reader, lambda read: read.next_offsets.get(where, 0) >= end)
    finally:
        await reader.close()
    return read.records


class TestInAnEventLoop:
    async def test_a_write_tells_where_the_record_stands(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend, partitions=2)
        headers = (("ce_id", b"1"), ("traceparent", b"00-ab"))
        first = NewRecord(topic, 1, b"k", b'{"n":1}', headers, RECENT_MS + 123)
        deletion = NewRecord(topic, 1, b"k", None, (), RECENT_MS + 124)

        assert await writer.write(first) == RecordPosition(topic, 1, 0)
        assert await writer.write(deletion) == RecordPosition(topic, 1, 1)

        assert await everything_in(backend, topic, 1) == [
            Record(topic, 1, 0, RECENT_MS + 123, b"k", b'{"n":1}', headers),
            Record(topic, 1, 1, RECENT_MS + 124, b"k", None, ()),
        ]

    async def test_writes_that_are_not_awaited_one_by_one_keep_their_order(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend)
        payload = b"x" * 2000  # several batches
        records = [NewRecord(topic, 0, b"%d" % number, payload) for number in range(500)]

        positions = await asyncio.gather(*(writer.write(record) for record in records))

        assert [position.offset for position in positions] == list(range(500))
        keys = [record.key for record in await everything_in(backend, topic)]
        assert keys == [record.key for record in records]

    async def test_partitions_are_counted(self, backend: Backend, writer: RecordWriter) -> None:
        assert await writer.partitions_of(new_topic(backend, partitions=3)) == 3

    async def test_it_can_be_closed_as_soon_as_it_is_started(self, backend: Backend) -> None:
        writer = backend.writer()
        await writer.start()
        await writer.close()

    async def test_who_abandons_it_keeps_what_was_acknowledged(self, backend: Backend) -> None:
        topic = new_topic(backend)
        writer = backend.writer()
        await writer.abandon()
        await writer.start()
        await writer.write(NewRecord(topic, 0, b"k", b"v"))
        await writer.abandon()
        await writer.abandon()
        assert [record.value for record in await everything_in(backend, topic)] == [b"v"]

    async def test_an_unknown_topic_is_refused_and_not_made(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        with pytest.raises(UnknownTopicError, match="contract-missing"):
            await writer.partitions_of("contract-missing")
        with pytest.raises(UnknownTopicError, match="contract-missing"):
            await writer.write(NewRecord("contract-missing", 0, b"k", b"v"))
        assert backend.admin().describe(["contract-missing"]) == {}

    async def test_an_unknown_partition_is_refused(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        with pytest.raises(UnknownTopicError):
            await writer.write(NewRecord(new_topic(backend), 1, b"k", b"v"))

    async def test_a_record_beyond_the_writers_limit_is_refused(self, backend: Backend) -> None:
        topic = new_topic(backend)
        writer = backend.writer(max_record_bytes=10_000)
        await writer.start()
        try:
            with pytest.raises(RecordTooLargeError, match="max_record_bytes"):
                await writer.write(NewRecord(topic, 0, b"k", b"x" * 10_001))
            assert (await writer.write(NewRecord(topic, 0, b"k", b"x" * 9_000))).offset == 0
        finally:
            await writer.close()

    async def test_writing_goes_on_after_a_record_beyond_the_topics_limit(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend, config={"max.message.bytes": "2000"})
        small = NewRecord(topic, 0, b"k", b"x" * 500)
        large = NewRecord(topic, 0, b"k", b"x" * 3000)
        assert (await writer.write(small)).offset == 0

        outcomes = await asyncio.gather(
            *(writer.write(record) for record in (small, large, small, small)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [
            RecordPosition,
            RecordTooLargeError,
            RecordPosition,
            RecordPosition,
        ]
        await writer.write(small)

        assert len(await everything_in(backend, topic)) == 5

    async def test_small_records_are_not_refused_for_the_size_of_their_batch(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend, config={"max.message.bytes": "2000"})
        records = [NewRecord(topic, 0, b"%d" % number, b"x" * 500) for number in range(20)]

        await asyncio.gather(*(writer.write(record) for record in records))

        assert len(await everything_in(backend, topic)) == 20

    async def test_close_loses_nothing_that_was_accepted(self, backend: Backend) -> None:
        topic = new_topic(backend)
        writer = backend.writer()
        await writer.start()
        await writer.partitions_of(topic)
        writing = [asyncio.create_task(writer.write(record)) for record in numbered(topic, 100)]
        await asyncio.sleep(0)  # each has handed its record over

        await writer.close()

        positions = await asyncio.gather(*writing)
        assert [position.offset for position in positions] == list(range(100))
        assert len(await everything_in(backend, topic)) == 100

    async def test_flush_waits_for_what_was_accepted(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend)
        await writer.partitions_of(topic)
        writing = [asyncio.create_task(writer.write(record)) for record in numbered(topic, 50)]
        await asyncio.sleep(0)

        await writer.flush()

        assert len(await everything_in(backend, topic)) == 50
        await asyncio.gather(*writing)

    async def test_a_topic_made_anew_is_written_from_its_start(
        self, backend: Backend, writer: RecordWriter
    ) -> None:
        topic = new_topic(backend)
        await asyncio.gather(*(writer.write(record) for record in numbered(topic, 5)))
        admin = backend.admin()
        (state,) = admin.describe([topic]).values()
        admin.delete(topic)
        new_topic(backend, name=topic)

        position = await writer.write(numbered(topic, 1)[0])

        assert position.offset == 0
        assert state.name == topic


class TestInAThread:
    async def test_what_was_offered_is_written_in_order(
        self, backend: Backend, sync_writer: SyncRecordWriter
    ) -> None:
        topic = new_topic(backend, partitions=2)
        headers = (("ce_id", b"1"),)
        sync_writer.offer(NewRecord(topic, 1, b"k", b"v", headers, RECENT_MS + 123))
        sync_writer.offer(NewRecord(topic, 1, b"k", None, (), RECENT_MS + 124))
        for record in numbered(topic, 1000):
            sync_writer.offer(record)

        assert await asyncio.to_thread(sync_writer.flush, 20.0) == 0

        assert await everything_in(backend, topic, 1) == [
            Record(topic, 1, 0, RECENT_MS + 123, b"k", b"v", headers),
            Record(topic, 1, 1, RECENT_MS + 124, b"k", None, ()),
        ]
        values = [record.value for record in await everything_in(backend, topic)]
        assert values == [b"%d" % number for number in range(1000)]

    def test_partitions_are_counted(self, backend: Backend, sync_writer: SyncRecordWriter) -> None:
        assert sync_writer.partitions_of(new_topic(backend, partitions=3)) == 3

    def test_an_unknown_topic_or_partition_is_refused_and_not_made(
        self, backend: Backend, sync_writer: SyncRecordWriter
    ) -> None:
        with pytest.raises(UnknownTopicError, match="contract-missing"):
            sync_writer.partitions_of("contract-missing")
        with pytest.raises(UnknownTopicError, match="contract-missing"):
            sync_writer.offer(NewRecord("contract-missing", 0, b"k", b"v"))
        with pytest.raises(UnknownTopicError):
            sync_writer.offer(NewRecord(new_topic(backend), 1, b"k", b"v"))
        assert backend.admin().describe(["contract-missing"]) == {}

    async def test_a_full_buffer_is_an_error_and_loses_nothing_that_it_took(
        self, backend: Backend
    ) -> None:
        topic = new_topic(backend)
        writer = backend.sync_writer(buffer_records=100, linger=1.0)
        if isinstance(backend, MemoryBackend):
            backend.broker.hold_acknowledgements(True)
        accepted = 0

        def offer_until_refused() -> None:
            nonlocal accepted
            for record in numbered(topic, 100_000):
                writer.offer(record)
                accepted += 1

        with pytest.raises(BufferFullError, match="flush"):
            offer_until_refused()
        assert accepted >= 100

        if isinstance(backend, MemoryBackend):
            assert writer.flush(0.1) == accepted
            backend.broker.hold_acknowledgements(False)
        assert await asyncio.to_thread(writer.flush, 20.0) == 0
        writer.offer(numbered(topic, 1)[0])
        await asyncio.to_thread(writer.close, 20.0)

        assert len(await everything_in(backend, topic)) == accepted + 1

    async def test_a_record_beyond_the_writers_limit_is_refused_at_once(
        self, backend: Backend
    ) -> None:
        topic = new_topic(backend)
        writer = backend.sync_writer(max_record_bytes=10_000)
        with pytest.raises(RecordTooLargeError, match="max_record_bytes"):
            writer.offer(NewRecord(topic, 0, b"k", b"x" * 10_001))
        writer.offer(NewRecord(topic, 0, b"k", b"x" * 9_000))
        await asyncio.to_thread(writer.close, 20.0)

        assert len(await everything_in(backend, topic)) == 1

    async def test_flush_raises_the_first_failed_delivery_and_then_goes_on(
        self, backend: Backend, sync_writer: SyncRecordWriter
    ) -> None:
        topic = new_topic(backend, config={"max.message.bytes": "2000"})
        sync_writer.offer(NewRecord(topic, 0, b"k", b"x" * 3000))
        with pytest.raises(RecordTooLargeError, match=topic):
            await asyncio.to_thread(sync_writer.flush, 20.0)

        sync_writer.offer(NewRecord(topic, 0, b"k", b"x" * 500))
        assert await asyncio.to_thread(sync_writer.flush, 20.0) == 0

        assert len(await everything_in(backend, topic)) == 1

    async def test_close_loses_nothing_that_was_accepted(self, backend: Backend) -> None:
        topic = new_topic(backend)
        writer = backend.sync_writer(linger=0.5)
        for record in numbered(topic, 500):
            writer.offer(record)

        await asyncio.to_thread(writer.close, 20.0)

        assert len(await everything_in(backend, topic)) == 500
