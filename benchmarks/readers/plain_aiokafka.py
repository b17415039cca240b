"""aiokafka with nothing around it but kept positions: the yardstick beside the gateway's reader.

It passes over nothing, reports nothing and would create missing topics: good for measuring alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition

from tidewire.kafka.errors import KafkaError
from tidewire.kafka.records import Bounds, Fetched, Record, TopicPartition
from tidewire.kafka.settings import KafkaSettings

__all__ = ["PlainAiokafka"]


class PlainAiokafka:
    def __init__(self, settings: KafkaSettings) -> None:
        self._client = AIOKafkaConsumer(
            **settings.aiokafka_common(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=round(settings.fetch_wait * 1000),
            fetch_max_bytes=settings.fetch_bytes,
            max_partition_fetch_bytes=settings.partition_fetch_bytes,
        )
        self._next: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        await self._client.start()

    async def close(self) -> None:
        await self._client.stop()

    async def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """`assign` forgets where it stood: each kept partition is sought back."""
        self._next = {tp: self._next.get(tp, at) for tp, at in starts.items()}
        self._client.assign([ClientPartition(*tp) for tp in starts])
        for tp, offset in self._next.items():
            self._client.seek(ClientPartition(*tp), offset)

    async def fetch(self, *, max_records: int, max_wait: float, gather: float = 0.0) -> Fetched:
        batches = await self._client.getmany(
            timeout_ms=round(max_wait * 1000), max_records=max_records
        )
        records = [_record(raw) for batch in batches.values() for raw in batch]
        moved = {TopicPartition(*tp): batch[-1].offset + 1 for tp, batch in batches.items()}
        self._next |= moved
        return Fetched(records, moved)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        asked = [ClientPartition(*tp) for tp in partitions]
        starts = await self._client.beginning_offsets(asked)
        ends = await self._client.end_offsets(asked)
        return {TopicPartition(*tp): Bounds(start, ends[tp]) for tp, start in starts.items()}

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        raise KafkaError("nothing that is measured asks for offsets by time")


def _record(raw: Any) -> Record:
    return Record(
        raw.topic,
        raw.partition,
        raw.offset,
        raw.timestamp,
        raw.key,
        raw.value,
        tuple((name, content or b"") for name, content in raw.headers),
    )
