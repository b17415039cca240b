"""Reading until something is there, with a deadline."""

import asyncio
from collections.abc import Callable

from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import NewRecord, Record, RecordPosition, TopicPartition

__all__ = ["DEADLINE", "Collected", "numbered", "read_until"]

DEADLINE = 20.0


class Collected:
    """Everything a reader handed over, checked as it comes.

    A partition's records never go back, and its next offset lies beyond each of them.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.next_offsets: dict[TopicPartition, int] = {}
        self.undecodable: list[RecordPosition] = []

    def values(self, partition: int = 0) -> list[bytes | None]:
        return [record.value for record in self.records if record.partition == partition]

    def offsets(self, partition: int = 0) -> list[int]:
        return [record.offset for record in self.records if record.partition == partition]


async def read_until(
    reader: RecordReader,
    is_enough: Callable[[Collected], bool],
    *,
    into: Collected | None = None,
    max_records: int = 1000,
    gather: float = 0.0,
) -> Collected:
    """Fetch until ``is_enough``; `TimeoutError` after 20 s."""
    collected = into or Collected()
    async with asyncio.timeout(DEADLINE):
        while not is_enough(collected):
            fetched = await reader.fetch(max_records=max_records, max_wait=0.5, gather=gather)
            assert len(fetched.records) <= max_records
            for record in fetched.records:
                where = TopicPartition(record.topic, record.partition)
                assert record.offset < fetched.next_offsets[where]
            for skipped in fetched.undecodable:
                where = TopicPartition(skipped.topic, skipped.partition)
                assert skipped.offset < fetched.next_offsets[where]
            collected.undecodable += fetched.undecodable
            collected.records += fetched.records
            collected.next_offsets |= fetched.next_offsets
    return collected


def numbered(topic: str, count: int, *, partition: int = 0, first: int = 0) -> list[NewRecord]:
    return [
        NewRecord(topic, partition, b"k", b"%d" % number) for number in range(first, first + count)
    ]
