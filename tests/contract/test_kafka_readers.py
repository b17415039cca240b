"""What every reader does, over every broker."""

import asyncio
import contextlib
from collections.abc import Mapping

import pytest

from contract.backends import RECENT_MS, Backend, MemoryBackend, ServerBackend, new_topic
from contract.reading import DEADLINE, Collected, numbered, read_until
from tidewire.kafka.errors import OffsetOutOfRangeError, UnknownTopicError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, NewRecord, TopicPartition


async def test_records_come_as_they_were_written(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading)
    written = [
        NewRecord(topic, 0, b"a", b'{"n":1}', (("ce_id", b"1"), ("x", b"")), RECENT_MS + 123),
        NewRecord(topic, 0, "ключ".encode(), b"", (), RECENT_MS),
        NewRecord(topic, 0, b"a", None, (("ce_id", b"2"), ("ce_id", b"3")), RECENT_MS + 500),
        NewRecord(topic, 0, None, b"no key", (), RECENT_MS + 501),
    ]
    reading.seed(written)
    where = TopicPartition(topic, 0)
    await reader.assign({where: 0})

    read = await read_until(reader, lambda read: len(read.records) == 4)

    assert [
        NewRecord(r.topic, r.partition, r.key, r.value, tuple(r.headers), r.timestamp_ms)
        for r in read.records
    ] == written
    assert read.offsets() == [0, 1, 2, 3]
    assert read.next_offsets == {where: 4}


async def test_records_of_each_partition_come_in_order(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=3)
    for partition in range(3):
        reading.seed(numbered(topic, 300, partition=partition))
    await reader.assign({TopicPartition(topic, p): 0 for p in range(3)})

    read = await read_until(reader, lambda read: len(read.records) == 900, max_records=70)

    for partition in range(3):
        assert read.values(partition) == [b"%d" % number for number in range(300)]
    assert read.next_offsets == {TopicPartition(topic, p): 300 for p in range(3)}


async def test_records_that_gather_come_once_in_order(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=3)
    await reader.assign({TopicPartition(topic, p): 0 for p in range(3)})

    async def write() -> None:
        for number in range(60):
            reading.seed(numbered(topic, 1, partition=number % 3, first=number // 3))
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        read = await read_until(reader, lambda read: len(read.records) == 60, gather=0.05)

    for partition in range(3):
        assert read.values(partition) == [b"%d" % number for number in range(20)]


async def test_first_record_waits_for_no_others(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading)
    await reader.assign({TopicPartition(topic, 0): 0})
    await reader.fetch(max_records=10, max_wait=0.2, gather=60.0)
    reading.seed(numbered(topic, 1))

    read = await read_until(reader, lambda read: len(read.records) == 1, gather=60.0)

    assert read.values() == [b"0"]


async def test_backlog_waits_for_no_others(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading)
    reading.seed(numbered(topic, 20))
    await reader.assign({TopicPartition(topic, 0): 0})

    read = await read_until(
        reader, lambda read: len(read.records) == 20, max_records=5, gather=60.0
    )

    assert read.offsets() == list(range(20))


async def test_a_new_partition_starts_at_the_given_offset(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=2)
    reading.seed([*numbered(topic, 10), *numbered(topic, 10, partition=1)])
    await reader.assign({TopicPartition(topic, 0): 7, TopicPartition(topic, 1): 10})
    reading.seed(numbered(topic, 1, partition=1, first=10))

    read = await read_until(reader, lambda read: len(read.records) == 4)

    assert read.values(0) == [b"7", b"8", b"9"]
    assert read.values(1) == [b"10"]


async def test_a_kept_partition_goes_on_where_it_stood(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=2)
    kept, new = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed([*numbered(topic, 50), *numbered(topic, 50, partition=1)])
    await reader.assign({kept: 0})
    read = await read_until(reader, lambda read: len(read.records) >= 20, max_records=10)

    await reader.assign({kept: 0, new: 40})
    await read_until(reader, lambda read: len(read.records) == 60, into=read)

    assert read.values(0) == [b"%d" % number for number in range(50)]
    assert read.values(1) == [b"%d" % number for number in range(40, 50)]


async def test_a_partition_taken_out_comes_no_more_and_starts_anew_when_back(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=2)
    out, kept = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed([*numbered(topic, 50), *numbered(topic, 50, partition=1)])
    await reader.assign({out: 0, kept: 0})
    await read_until(reader, lambda read: bool(read.offsets(0)), max_records=5)

    await reader.assign({kept: 0})
    reading.seed(numbered(topic, 5, partition=1, first=50))
    without = await read_until(reader, lambda read: read.next_offsets.get(kept) == 55)
    assert without.offsets(0) == []

    await reader.assign({kept: 0, out: 48})
    again = await read_until(reader, lambda read: len(read.records) == 2)
    assert again.values(0) == [b"48", b"49"]


async def test_a_partition_that_was_let_go_starts_anew_at_any_place_again_and_again(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    reading.seed(numbered(topic, 300))
    for turn, start in enumerate([0, 100, 20, 20, 250, 0, 299]):
        await reader.assign({})
        await reader.assign({where: start})
        count = min(300 - start, (1, 7, 150)[turn % 3])

        def is_enough(read: Collected, count: int = count) -> bool:
            return len(read.records) >= count

        read = await read_until(reader, is_enough, max_records=count)

        assert read.offsets() == list(range(start, start + count))


async def test_two_readers_of_a_process_know_nothing_of_each_other(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    reading.seed(numbered(topic, 50))
    await reader.assign({where: 0})
    read = await read_until(reader, lambda read: len(read.records) >= 10, max_records=10)

    second = reading.reader()
    await second.start()
    try:
        await second.assign({where: 40})
        other = await read_until(second, lambda read: len(read.records) == 10)
    finally:
        await second.close()
    await read_until(reader, lambda read: len(read.records) == 50, into=read)

    assert read.offsets() == list(range(50))
    assert other.offsets() == list(range(40, 50))


async def test_a_storm_of_assignments_loses_and_doubles_nothing(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=6)
    kept = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    coming_and_going = [TopicPartition(topic, number) for number in range(2, 6)]
    count, rounds = 2000, 40
    writer = reading.sync_writer()
    await reader.assign(dict.fromkeys(kept, 0))

    async def write() -> None:
        for number in range(count):
            for partition in range(6):
                writer.offer(NewRecord(topic, partition, b"k", b"%d" % number))
            if number % 50 == 0:
                await asyncio.sleep(0)
        assert await asyncio.to_thread(writer.flush, 20.0) == 0

    async def storm() -> None:
        for turn in range(rounds):
            extra = coming_and_going[turn % 4]
            starts: Mapping[TopicPartition, int] = dict.fromkeys([*kept, extra], 0)
            await reader.assign(starts)
            await asyncio.sleep(0)
        await reader.assign(dict.fromkeys(kept, 0))

    read = Collected()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(storm())
        tasks.create_task(
            read_until(
                reader,
                lambda read: all(read.next_offsets.get(tp, 0) == count for tp in kept),
                into=read,
                max_records=100,
            )
        )
    await asyncio.to_thread(writer.close, 20.0)

    for tp in kept:
        assert read.offsets(tp.partition) == list(range(count))
        assert read.values(tp.partition) == [b"%d" % number for number in range(count)]


async def test_an_empty_fetch_is_no_error(reading: Backend, reader: RecordReader) -> None:
    nothing_assigned = await reader.fetch(max_records=10, max_wait=0.01)
    assert (list(nothing_assigned.records), dict(nothing_assigned.next_offsets)) == ([], {})

    await reader.assign({TopicPartition(new_topic(reading), 0): 0})
    nothing_written = await reader.fetch(max_records=10, max_wait=0.2)
    assert (list(nothing_written.records), dict(nothing_written.next_offsets)) == ([], {})


async def test_nothing_more_comes_once_nothing_is_assigned(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    reading.seed(numbered(topic, 10))
    await reader.assign({TopicPartition(topic, 0): 0})
    await read_until(reader, lambda read: len(read.records) >= 1, max_records=1)

    await reader.assign({})

    assert not (await reader.fetch(max_records=10, max_wait=0.2)).records


async def test_a_cancelled_fetch_loses_nothing(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading)
    await reader.assign({TopicPartition(topic, 0): 0})
    read = Collected()
    for number in range(20):
        fetching = asyncio.create_task(reader.fetch(max_records=10, max_wait=5.0))
        await asyncio.sleep(0)
        reading.seed(numbered(topic, 1, first=number))
        fetching.cancel()
        try:
            fetched = await fetching
        except asyncio.CancelledError:
            continue
        read.records += fetched.records

    await read_until(reader, lambda read: len(read.records) == 20, into=read)

    assert read.values() == [b"%d" % number for number in range(20)]


async def test_bounds_are_the_log_start_and_its_end(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading, partitions=2)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed(numbered(topic, 10))
    assert await reader.bounds([full, empty]) == {full: Bounds(0, 10), empty: Bounds(0, 0)}

    reading.truncate_before(full, 4)

    assert await reader.bounds([full]) == {full: Bounds(4, 10)}


async def test_offsets_are_found_by_time(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading, partitions=2)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed(
        [NewRecord(topic, 0, b"k", b"v", timestamp_ms=RECENT_MS + n * 10) for n in range(5)]
    )
    times = {
        0: RECENT_MS - 1000,
        2: RECENT_MS + 15,
        4: RECENT_MS + 40,
        5: RECENT_MS + 41,
    }
    for expected, at in times.items():
        assert await reader.offsets_at({full: at, empty: at}) == {full: expected, empty: 0}


async def test_an_unknown_topic_or_partition_is_refused(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    for missing in (TopicPartition("contract-missing", 0), TopicPartition(topic, 1)):
        with pytest.raises(UnknownTopicError):
            await reader.bounds([missing])
        with pytest.raises(UnknownTopicError):
            await reader.offsets_at({missing: 0})
        with pytest.raises(UnknownTopicError):
            await reader.assign({missing: 0})
    assert reading.admin().describe(["contract-missing"]) == {}


async def test_a_refused_assignment_leaves_the_set_as_it_was(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    await reader.assign({TopicPartition(topic, 0): 0})
    with pytest.raises(UnknownTopicError):
        await reader.assign({TopicPartition("contract-missing", 0): 0})
    reading.seed(numbered(topic, 3))

    assert len((await read_until(reader, lambda read: len(read.records) == 3)).records) == 3


@pytest.mark.parametrize("offset", [2, 11], ids=["below the start", "beyond the end"])
async def test_an_offset_out_of_range_is_an_error_and_no_jump(
    reading: Backend, reader: RecordReader, offset: int
) -> None:
    topic = new_topic(reading, partitions=2)
    lost, sound = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed([*numbered(topic, 10), *numbered(topic, 10, partition=1)])
    reading.truncate_before(lost, 5)
    await reader.assign({lost: offset, sound: 0})
    read = Collected()

    with pytest.raises(OffsetOutOfRangeError) as caught:
        await read_until(reader, lambda _: False, into=read)
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == (*lost, offset)

    reading.seed(numbered(topic, 1, partition=1, first=10))
    await read_until(reader, lambda read: len(read.offsets(1)) == 11, into=read)
    assert read.offsets(0) == []

    await reader.assign({lost: 5, sound: 0})
    await read_until(reader, lambda read: len(read.offsets(0)) == 5, into=read)
    assert read.offsets(0) == [5, 6, 7, 8, 9]
    assert read.offsets(1) == list(range(11))


async def test_a_topic_that_is_deleted_while_it_is_read_is_reported(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    reading.seed(numbered(topic, 1))
    await reader.assign({TopicPartition(topic, 0): 0})
    await read_until(reader, lambda read: len(read.records) == 1)

    reading.admin().delete(topic)

    async def read_on() -> None:
        """As a gateway does: the log may be gone for a while before the topic is."""
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(OffsetOutOfRangeError):
                    await read_until(reader, lambda _: False)
                await reader.assign({TopicPartition(topic, 0): 0})

    with pytest.raises(UnknownTopicError):
        await read_on()
    await reader.assign({})


async def test_an_aborted_transaction_is_invisible_and_still_moves_the_position(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    reading.seed(numbered(topic, 2))
    reading.abort(numbered(topic, 3, first=90))
    reading.seed(numbered(topic, 1, first=2))
    reading.abort(numbered(topic, 1, first=91))
    end = (await reader.bounds([where]))[where].end
    assert end == 2 + 4 + 1 + 2

    await reader.assign({where: 0})
    read = await read_until(reader, lambda read: read.next_offsets.get(where) == end)

    assert read.values() == [b"0", b"1", b"2"]
    assert read.offsets() == [0, 1, 6]


async def test_an_open_transaction_is_beyond_the_end(
    reading: Backend, reader: RecordReader
) -> None:
    if not isinstance(reading, ServerBackend):
        pytest.skip("the in-memory broker ends its transactions at once")
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    reading.seed(numbered(topic, 2))
    producer = reading.transactional_producer()
    producer.begin_transaction()
    producer.produce(topic, value=b"2", key=b"k", partition=0)
    producer.flush(10.0)
    await reader.assign({where: 0})

    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 2)
    assert await reader.bounds([where]) == {where: Bounds(0, 2)}

    producer.commit_transaction(10.0)
    await read_until(reader, lambda read: read.next_offsets.get(where) == 4, into=read)
    assert read.values() == [b"0", b"1", b"2"]


async def test_what_compaction_removed_moves_the_position(
    reading: Backend, reader: RecordReader
) -> None:
    if not isinstance(reading, MemoryBackend):
        pytest.skip("a real broker compacts when it likes, not when a test asks")
    topic = new_topic(reading, config={"cleanup.policy": "compact"})
    where = TopicPartition(topic, 0)
    reading.seed([NewRecord(topic, 0, key, b"v") for key in (b"a", b"b", b"a", b"a")])
    reading.broker.compact(topic)
    await reader.assign({where: 0})

    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 4)

    assert read.offsets() == [1, 3]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches_are_read(
    reading: Backend, reader: RecordReader, codec: str
) -> None:
    if not isinstance(reading, ServerBackend):
        pytest.skip("the in-memory broker keeps records, not batches")
    topic = new_topic(reading)
    reading.compressed(numbered(topic, 50), codec)
    await reader.assign({TopicPartition(topic, 0): 0})

    read = await read_until(reader, lambda read: len(read.records) == 50)

    assert read.values() == [b"%d" % number for number in range(50)]
