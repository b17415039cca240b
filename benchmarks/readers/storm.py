"""An assignment that changes every second by hundreds of partitions, beside partitions that flow."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from tidewire.kafka.ports import RecordReader
from tidewire.kafka.records import TopicPartition

from .clients import cpu_seconds, make_reader, percentile

__all__ = ["measure"]


class _Kept:
    """What came of the partitions that stay assigned."""

    def __init__(self, starts: dict[TopicPartition, int]) -> None:
        self.next = dict(starts)
        self.lost = self.doubled = self.records = self.others = 0
        self.latencies: list[float] = []
        self.pauses: list[float] = []
        self._heard_at = time.monotonic()

    def take(self, records: Any) -> None:
        now, now_ns = time.monotonic(), time.time_ns()
        is_heard = False
        for record in records:
            where = TopicPartition(record.topic, record.partition)
            if where not in self.next:
                self.others += 1
                continue
            is_heard = True
            self.lost += max(0, record.offset - self.next[where])
            self.doubled += record.offset < self.next[where]
            self.next[where] = max(self.next[where], record.offset + 1)
            self.records += 1
            self.latencies.append((now_ns - json.loads(record.value)["at"]) / 1e6)
        if is_heard:
            self.pauses.append((now - self._heard_at) * 1000)
            self._heard_at = now


async def measure(
    *,
    reader: str,
    bootstrap: str,
    topic: str,
    partitions: int,
    storm_topic: str,
    storm_partitions: int,
    changing: int,
    seconds: float,
) -> dict[str, Any]:
    """``changing`` partitions of the storm's topic at a time, chosen anew every second."""
    client = make_reader(reader, bootstrap)
    await client.start()
    bounds = await client.bounds([TopicPartition(topic, n) for n in range(partitions)])
    kept = _Kept({tp: b.end for tp, b in bounds.items()})
    used = cpu_seconds()
    await client.assign(kept.next)
    assign_times: list[float] = []
    others = [TopicPartition(storm_topic, n) for n in range(storm_partitions)]
    storm = asyncio.create_task(_storm(client, dict(kept.next), others, changing, assign_times))
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        kept.take((await client.fetch(max_records=1000, max_wait=0.1)).records)
    storm.cancel()
    await asyncio.wait([storm])
    used = cpu_seconds() - used
    await client.close()
    return {
        "lost": kept.lost,
        "doubled": kept.doubled,
        "records": kept.records,
        "records_of_others": kept.others,
        "pause_ms_p99": percentile(kept.pauses, 0.99),
        "pause_ms_max": max(kept.pauses, default=0.0),
        "latency_ms_p50": percentile(kept.latencies, 0.5),
        "latency_ms_p99": percentile(kept.latencies, 0.99),
        "latency_ms_max": max(kept.latencies, default=0.0),
        "assign_ms_p50": percentile(assign_times, 0.5),
        "assign_ms_max": max(assign_times, default=0.0),
        "assigns": len(assign_times),
        "cpu_share": used / seconds,
    }


async def _storm(
    client: RecordReader,
    kept: dict[TopicPartition, int],
    others: Sequence[TopicPartition],
    changing: int,
    assign_times: list[float],
) -> None:
    chance = random.Random(1)  # noqa: S311 - the same storm for every reader
    while True:
        await asyncio.sleep(1.0)
        chosen = chance.sample(others, changing)
        began = time.monotonic()
        await client.assign(kept | dict.fromkeys(chosen, 0))
        assign_times.append((time.monotonic() - began) * 1000)
