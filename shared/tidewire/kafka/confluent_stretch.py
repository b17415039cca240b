"""Reads a stretch of a partition once, around what cannot be decoded."""

import asyncio

from .confluent_reader import ConfluentReader
from .records import Fetched, TopicPartition
from .settings import KafkaSettings

__all__ = ["read_stretch"]

_WAIT = 1.0


async def read_stretch(
    settings: KafkaSettings, where: TopicPartition, start: int, max_records: int
) -> Fetched:
    """At least one step beyond ``start``; raises `KafkaError`, and `TimeoutError` where nothing is there."""
    reader = ConfluentReader(settings)
    await reader.start()
    try:
        await reader.assign({where: start})
        async with asyncio.timeout(settings.request_timeout):
            while True:
                fetched = await reader.fetch(max_records=max_records, max_wait=_WAIT)
                if fetched.next_offsets:
                    return fetched
    finally:
        await reader.close()
