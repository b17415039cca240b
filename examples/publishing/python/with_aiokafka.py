# ruff: noqa: INP001, T201 - a program of its own
"""Publishes to the stream `orders` with aiokafka: with_aiokafka.py HOST:PORT [TOPIC]."""

import asyncio
import sys
import uuid
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

whole_key = DefaultPartitioner()


def by_group(key: bytes, partitions: list[int], available: list[int]) -> int:
    """`group: key-prefix` in streams.yaml: murmur2 of the key up to its first slash.

    With `none` or `key` the producer's own partitioner is right as it is.
    """
    chosen: int = whole_key(key.partition(b"/")[0], partitions, available)
    return chosen


def headers() -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid.uuid4()).encode()),
        ("ce_source", b"shop/aiokafka"),
        ("ce_type", b"shop.order.changed"),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", b"application/json"),
    ]


async def main() -> None:
    topic = sys.argv[2] if len(sys.argv) > 2 else "shop-orders"
    producer = AIOKafkaProducer(
        bootstrap_servers=sys.argv[1], partitioner=by_group, enable_idempotence=True
    )
    await producer.start()
    try:
        for key, value in (
            (b"berlin/aiokafka-1", b'{"total":42,"state":"paid"}'),
            (b"paris/aiokafka-2", b'{"total":7,"state":"open"}'),
            (b"paris/aiokafka-2", None),  # a tombstone: the entity is gone
        ):
            written = await producer.send_and_wait(topic, value, key, headers=headers())
            print(f"{key.decode()} partition {written.partition} offset {written.offset}")
    finally:
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
