# ruff: noqa: INP001, T201 - a program of its own
"""Publishes to the stream `orders` with confluent-kafka: with_confluent_kafka.py HOST:PORT [TOPIC]."""

import os
import struct
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Producer

MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's hash of a key, as librdkafka's `murmur2` has it, which Python cannot call."""
    m, h = 0x5BD1E995, 0x9747B28C ^ len(data)
    words = len(data) // 4
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * m & MASK
        k = (k ^ k >> 24) * m & MASK
        h = h * m & MASK ^ k
    if rest := data[words * 4 :]:
        h = (h ^ int.from_bytes(rest, "little")) * m & MASK
    h = (h ^ h >> 13) * m & MASK
    return h ^ h >> 15


def group_of(key: str) -> str:
    """`group: key-prefix` in streams.yaml: the key up to its first slash. With `none` or `key` it is the whole key."""
    return key.partition("/")[0]


def partition_of(key: str, partitions: int) -> int:
    return (murmur2(group_of(key).encode()) & 0x7FFFFFFF) % partitions


def headers() -> Iterator[tuple[str, bytes]]:
    yield "ce_specversion", b"1.0"
    yield "ce_id", str(uuid.uuid4()).encode()
    yield "ce_source", b"shop/confluent-kafka"
    yield "ce_type", b"shop.order.changed"
    yield "ce_time", datetime.now(UTC).isoformat().encode()
    yield "content-type", b"application/json"
    if trace := os.environ.get("TRACEPARENT"):
        yield "traceparent", trace.encode()


def main() -> None:
    topic = sys.argv[2] if len(sys.argv) > 2 else "shop-orders"
    producer = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True})
    partitions = len(producer.list_topics(topic, timeout=10).topics[topic].partitions)

    def told(error: Any, written: Any) -> None:
        if error is not None:
            sys.exit(f"not written: {error}")
        print(f"{written.key().decode()} partition {written.partition()} offset {written.offset()}")

    for key, value in (
        ("berlin/confluent-1", b'{"total":42,"state":"paid"}'),
        ("paris/confluent-2", b'{"total":7,"state":"open"}'),
        ("paris/confluent-2", None),  # a tombstone: the entity is gone
    ):
        producer.produce(
            topic,
            value,
            key.encode(),
            partition_of(key, partitions),
            headers=list(headers()),
            on_delivery=told,
        )
    if left := producer.flush(30):
        sys.exit(f"{left} events are not acknowledged")


if __name__ == "__main__":
    main()
