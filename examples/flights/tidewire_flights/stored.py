"""What an earlier replay left in Kafka: where its clock stood, and which rows stand on the board."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from tidewire.config.streams import Stream
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import Bounds, Record, TopicPartition

from .errors import ReplayError
from .laps import ReplayPoint

__all__ = ["standing_keys", "stored_point"]

_READ_TIMEOUT: Final = 60.0
_MAX_WAIT: Final = 0.5
_MAX_RECORDS: Final = 5_000


async def stored_point(reader: RecordReader, stream: Stream) -> ReplayPoint | None:
    """Where the last replay stood; None when there was none, or its row cannot be read."""
    bounds = await _bounds(reader, stream)
    newest: list[Record] = []
    await _read(reader, {p: b._replace(start=b.end - 1) for p, b in bounds.items()}, newest.append)
    values = [record.value for record in newest if record.value is not None]
    return _point(orjson.loads(values[-1])) if values else None


async def standing_keys(reader: RecordReader, stream: Stream) -> set[str]:
    """The keys of a table that hold a value: every record is read, once."""
    keys: set[str] = set()

    def apply(record: Record) -> None:
        key = (record.key or b"").decode()
        if record.value is None:
            keys.discard(key)
        else:
            keys.add(key)

    await _read(reader, await _bounds(reader, stream), apply)
    return keys


async def _bounds(reader: RecordReader, stream: Stream) -> dict[TopicPartition, Bounds]:
    """The partitions that hold records."""
    partitions = [TopicPartition(stream.topic, n) for n in range(stream.partitions)]
    bounds = await reader.bounds(partitions)
    return {partition: b for partition, b in bounds.items() if b.end > b.start}


async def _read(
    reader: RecordReader,
    bounds: Mapping[TopicPartition, Bounds],
    visit: Callable[[Record], None],
) -> None:
    """Hand every record between the bounds to ``visit``."""
    unread = {partition: b.end for partition, b in bounds.items()}
    await reader.assign({partition: b.start for partition, b in bounds.items()})
    try:
        async with asyncio.timeout(_READ_TIMEOUT):
            while unread:
                fetched = await reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT)
                for record in fetched.records:
                    visit(record)
                for partition, offset in fetched.next_offsets.items():
                    if offset >= unread.get(partition, offset + 1):
                        del unread[partition]
    except TimeoutError:
        topics = ", ".join(sorted({partition.topic for partition in bounds}))
        raise ReplayError(
            f"topic {topics} could not be read within {_READ_TIMEOUT:.0f} s: "
            "check that the broker answers"
        ) from None


def _point(row: Any) -> ReplayPoint | None:
    match row:
        case {"lap": int() as lap, "sim": int() as sim}:
            return ReplayPoint(lap, sim // 1000)
        case _:
            return None
