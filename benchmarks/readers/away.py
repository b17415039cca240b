"""A broker that goes away and comes back: when that is told, what it costs, when records flow again."""

import asyncio
import sys
import time
from typing import Any

from tidewire.kafka.errors import KafkaError
from tidewire.kafka.records import TopicPartition

from .clients import cpu_seconds, make_reader

__all__ = ["measure"]

_PATIENCE = 120.0
_RETRY = 0.2


async def measure(*, reader: str, bootstrap: str, topic: str, partitions: int) -> dict[str, Any]:
    """Read until the one record that is written after the outage; instants are Unix seconds.

    The caller stops the broker once this has said "reading" on stderr.
    """
    client = make_reader(reader, bootstrap)
    await client.start()
    bounds = await client.bounds([TopicPartition(topic, n) for n in range(partitions)])
    await client.assign({tp: b.end for tp, b in bounds.items()})
    sys.stderr.write("reading\n")
    sys.stderr.flush()
    told_at: float | None = None
    faults = 0
    used = cpu_seconds()
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                fetched = await client.fetch(max_records=1000, max_wait=0.1)
            except KafkaError:
                told_at = told_at or time.time()
                faults += 1
                await asyncio.sleep(_RETRY)
                continue
            if fetched.records:
                break
    found = {"told_at": told_at, "flowed_at": time.time(), "faults": faults}
    used = cpu_seconds() - used
    await client.close()
    return found | {"cpu_seconds": used}
