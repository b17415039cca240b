"""A reader rests at the end of what it reads where its broker has no long polls, and misses nothing."""

from collections.abc import Callable

import pytest

from contract.backends import ServerBackend, new_topic
from contract.reading import Collected, numbered, read_until
from tidewire.kafka.confluent_clients import ConfluentReader
from tidewire.kafka.records import TopicPartition

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many partitions were let go, one entry a rest."""
    seen: list[int] = []
    rest = ConfluentReader._pause

    def counted(reader: ConfluentReader, flowing: dict[TopicPartition, int]) -> None:
        seen.append(len(flowing))
        rest(reader, flowing)

    monkeypatch.setattr(ConfluentReader, "_pause", counted)
    return seen


@pytest.mark.parametrize("fetch_pause", [0.0, 0.01], ids=["steady", "resting"])
async def test_reader_rests_once_all_its_partitions_are_at_their_end(
    embedded_kafka: str, rests: list[int], fetch_pause: float
) -> None:
    backend = ServerBackend(embedded_kafka, has_topic_ids=False, fetch_pause=fetch_pause)
    topic = new_topic(backend, partitions=3)
    reader = backend.reader()
    await reader.start()
    try:
        await reader.assign({TopicPartition(topic, p): 0 for p in range(3)})
        await reader.fetch(max_records=10, max_wait=0.5)
    finally:
        await reader.close()
    assert (len(rests) > 1) == (fetch_pause > 0)
    assert set(rests) <= {3}


async def test_records_that_come_during_rests_come_once_and_in_order(
    embedded_kafka: str, rests: list[int]
) -> None:
    backend = ServerBackend(embedded_kafka, has_topic_ids=False, fetch_pause=0.01)
    topic = new_topic(backend, partitions=2)
    reader = backend.reader()
    await reader.start()
    read = Collected()
    try:
        await reader.assign({TopicPartition(topic, p): 0 for p in range(2)})
        for written in range(0, 60, 3):
            backend.seed(numbered(topic, 3, partition=written % 2, first=written))
            await read_until(reader, more_than(written), into=read)
            await read_until(reader, rested_after(rests), into=read)
    finally:
        await reader.close()
    values = [int(record.value or b"") for record in read.records]
    assert values == list(range(60))


def more_than(count: int) -> Callable[[Collected], bool]:
    return lambda read: len(read.records) > count + 2


def rested_after(rests: list[int]) -> Callable[[Collected], bool]:
    before = len(rests)
    return lambda _: len(rests) > before
