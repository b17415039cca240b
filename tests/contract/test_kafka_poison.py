"""What nobody can decode stops no reader: it is passed over and reported, and the rest comes."""

import asyncio
import functools

import pytest

from contract.backends import Backend, ServerBackend, new_topic
from contract.poison import break_in_files, produce_raw, with_broken_header_names
from contract.reading import Collected, numbered, read_until
from tidewire.kafka.errors import UnknownTopicError
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import NewRecord, RecordPosition, TopicPartition


@pytest.mark.parametrize("max_records", [1, 3, 1000])
@pytest.mark.parametrize(
    "broken",
    [{0}, {2}, {4}, {1, 2}, {0, 1, 2, 3, 4}],
    ids=["first", "middle", "last", "two", "all"],
)
async def test_an_undecodable_record_is_passed_over_and_reported(
    reading: Backend, reader: RecordReader, broken: set[int], max_records: int
) -> None:
    topic = new_topic(reading, partitions=2)
    poisoned, sound = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed(numbered(topic, 10, partition=1))
    reading.seed(numbered(topic, 3))
    await reading.seed_undecodable(numbered(topic, 5, first=3), broken)
    reading.seed(numbered(topic, 2, first=8))
    await reader.assign({poisoned: 0, sound: 0})

    read = await read_until(
        reader,
        lambda read: read.next_offsets == {poisoned: 10, sound: 10},
        max_records=max_records,
    )

    left = [offset for offset in range(10) if offset - 3 not in broken]
    assert read.offsets(0) == left
    assert read.values(0) == [b"%d" % offset for offset in left]
    assert read.offsets(1) == list(range(10))
    assert read.undecodable == [RecordPosition(topic, 0, 3 + index) for index in sorted(broken)]


async def test_undecodable_records_among_many_sound_ones_are_passed_over(
    reading: Backend, reader: RecordReader
) -> None:
    """Python runs code that is warm another way, which once let half-made headers through: a crash."""
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    broken = set(range(0, 1000, 3))
    await reading.seed_undecodable(numbered(topic, 1000), broken)
    await reader.assign({where: 0})

    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 1000)

    assert read.offsets() == [offset for offset in range(1000) if offset not in broken]
    assert read.undecodable == [RecordPosition(topic, 0, offset) for offset in sorted(broken)]


async def test_reading_may_begin_behind_an_undecodable_record_of_its_batch(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    await reading.seed_undecodable(numbered(topic, 5), {1, 3})
    await reader.assign({where: 2})

    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 5)

    assert read.offsets() == [2, 4]
    assert read.undecodable == [RecordPosition(topic, 0, 3)]


async def test_an_undecodable_record_at_the_end_is_reported_once(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=2)
    where, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await reading.seed_undecodable(numbered(topic, 1), {0})
    await reader.assign({where: 0})
    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 1)

    await reader.assign({where: 0, other: 0})
    reading.seed(numbered(topic, 1, first=1))
    await read_until(reader, lambda read: len(read.records) == 1, into=read)

    assert read.offsets() == [1]
    assert read.undecodable == [RecordPosition(topic, 0, 0)]


async def test_undecodable_records_between_assignments_are_reported_once(
    reading: Backend, reader: RecordReader
) -> None:
    topic = new_topic(reading, partitions=2)
    kept, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    for first in range(0, 50, 5):
        await reading.seed_undecodable(numbered(topic, 5, first=first), {1, 4})
    read = Collected()
    await reader.assign({kept: 0})

    for turn in range(8):
        fetched = await reader.fetch(max_records=2, max_wait=0.2)
        read.records += fetched.records
        read.undecodable += fetched.undecodable
        await reader.assign({kept: 0} if turn % 2 else {kept: 0, other: 0})
    await read_until(reader, lambda read: read.next_offsets.get(kept) == 50, into=read)

    broken = [offset for offset in range(50) if offset % 5 in (1, 4)]
    assert [skipped.offset for skipped in read.undecodable] == broken
    assert read.offsets() == [offset for offset in range(50) if offset not in broken]


async def test_an_undecodable_record_of_a_compressed_batch_is_passed_over(
    reading: Backend, reader: RecordReader
) -> None:
    if not isinstance(reading, ServerBackend):
        pytest.skip("the in-memory broker keeps records, not batches")
    topic = new_topic(reading)
    where = TopicPartition(topic, 0)
    batch = with_broken_header_names(numbered(topic, 5), {2}, "gzip")
    await produce_raw(reading.bootstrap, topic, 0, batch)
    await reader.assign({where: 0})

    read = await read_until(reader, lambda read: read.next_offsets.get(where) == 5)

    assert read.offsets() == [0, 1, 3, 4]
    assert read.undecodable == [RecordPosition(topic, 0, 2)]


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("at_end", [True, False], ids=["at the end", "in the middle"])
async def test_a_batch_with_a_wrong_checksum_is_passed_over_as_one(
    reading: Backend,
    reader: RecordReader,
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    at_end: bool,
) -> None:
    if not isinstance(reading, ServerBackend):
        pytest.skip("the in-memory broker keeps records, not batches")
    if not reading.has_topic_ids:
        pytest.skip("the embedded broker keeps its log in memory: there is no file to break")
    topic = new_topic(reading, partitions=2)
    broken, sound = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reading.seed(numbered(topic, 10, partition=1))
    reading.seed(numbered(topic, 3))
    damaged = [NewRecord(topic, 0, b"k", b"damaged-%d" % number) for number in range(size)]
    await reading.seed_undecodable(damaged, ())
    end = 3 + size
    if not at_end:
        reading.seed(numbered(topic, 4, first=end))
        end += 4
    break_in_files(tmp_path_factory.getbasetemp(), topic, b"damaged-0")
    await reader.assign({broken: 0, sound: 0})

    read = await read_until(reader, lambda read: read.next_offsets == {broken: end, sound: 10})
    reading.seed(numbered(topic, 1, first=end))
    await read_until(reader, lambda read: read.next_offsets[broken] == end + 1, into=read)

    assert read.offsets(0) == [0, 1, 2, *range(3 + size, end + 1)]
    assert read.offsets(1) == list(range(10))
    assert read.undecodable == [RecordPosition(topic, 0, 3)]


async def test_a_missing_topic_among_others_is_named_and_the_others_flow_on(
    reading: Backend, reader: RecordReader
) -> None:
    gone, left = new_topic(reading, partitions=2), new_topic(reading)
    going = {TopicPartition(gone, 0): 0, TopicPartition(gone, 1): 0}
    stays = TopicPartition(left, 0)
    reading.seed([*numbered(gone, 1), *numbered(gone, 1, partition=1), *numbered(left, 5)])
    await reader.assign({**going, stays: 0})
    read = await read_until(reader, lambda read: len(read.records) == 7)
    written = 5

    reading.admin().delete(gone)
    caught: UnknownTopicError | None = None
    async with asyncio.timeout(20):
        while caught is None:
            reading.seed(numbered(left, 1, first=written))
            written += 1
            try:
                await read_until(reader, functools.partial(_has, left, written), into=read)
            except UnknownTopicError as error:
                caught = error
    assert caught.topic == gone

    await reader.assign({stays: 0})
    reading.seed(numbered(left, 3, first=written))
    await read_until(reader, lambda read: _count(read, left) == written + 3, into=read)
    ours = [record.value for record in read.records if record.topic == left]
    assert ours == [b"%d" % number for number in range(written + 3)]


async def test_a_refusal_names_the_missing_topic(reading: Backend, reader: RecordReader) -> None:
    topic = new_topic(reading)
    for missing in (TopicPartition("contract-missing", 0), TopicPartition(topic, 1)):
        for ask in (
            reader.bounds([TopicPartition(topic, 0), missing]),
            reader.offsets_at({TopicPartition(topic, 0): 0, missing: 0}),
            reader.assign({TopicPartition(topic, 0): 0, missing: 0}),
        ):
            with pytest.raises(UnknownTopicError) as caught:
                await ask
            assert caught.value.topic == missing.topic


def _has(topic: str, count: int, read: Collected) -> bool:
    return _count(read, topic) == count


def _count(read: Collected, topic: str) -> int:
    return sum(record.topic == topic for record in read.records)
