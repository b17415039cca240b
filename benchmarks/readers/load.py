"""A backlog read from its first record to its last: records a second, processor time a record."""

import time
from typing import Any

from tidewire.config.streams import Stream
from tidewire.kafka.records import TopicPartition
from tidewire_gateway.core.decoding import Decoder

from .clients import cpu_seconds, make_reader

__all__ = ["measure"]

_MAX_EVENT_BYTES = 256 * 1024


async def measure(
    *, reader: str, bootstrap: str, topic: str, partitions: int, max_records: int, decode: bool
) -> dict[str, Any]:
    """Read all that is there; processor time from before the first fetch to after the last."""
    decoder = Decoder(Stream(topic=topic, group="key-prefix"), _MAX_EVENT_BYTES)
    client = make_reader(reader, bootstrap)
    await client.start()
    where = [TopicPartition(topic, number) for number in range(partitions)]
    bounds = await client.bounds(where)
    left = sum(b.end - b.start for b in bounds.values())
    count, fetches = left, 0
    began, used = time.monotonic(), cpu_seconds()
    await client.assign({tp: b.start for tp, b in bounds.items()})
    while left > 0:
        fetched = await client.fetch(max_records=max_records, max_wait=0.1)
        left -= len(fetched.records)
        fetches += 1
        if decode:
            for record in fetched.records:
                decoder.decode(record)
    seconds, used = time.monotonic() - began, cpu_seconds() - used
    await client.close()
    return {
        "records_per_second": count / seconds,
        "cpu_seconds_per_100k": used / count * 100_000,
        "records_per_cpu_second": count / used,
        "records_per_fetch": count / fetches,
    }
