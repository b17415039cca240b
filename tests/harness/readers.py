"""A reader around another one, for who wants to look at, or to spoil, some of what a node asks."""

from collections.abc import Mapping, Sequence

from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, Fetched, TopicPartition

__all__ = ["PassingReader"]


class PassingReader:
    """Passes everything on to ``reader``; a subclass says what it does otherwise."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader

    async def start(self) -> None:
        await self._reader.start()

    async def close(self) -> None:
        await self._reader.close()

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        await self._reader.assign(starts)

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        return await self._reader.fetch(max_records=max_records, max_wait=max_wait, gather=gather)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        return await self._reader.bounds(partitions)

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        return await self._reader.offsets_at(times)
