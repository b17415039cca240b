"""Records as real producers write them: small JSON, CloudEvents headers, batches of a 5 ms linger."""

import itertools
import time

from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentWriter
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire.kafka.settings import KafkaSettings

from ..offering import offer

__all__ = ["create_topic", "fill", "pace"]

_HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"0199a6f2-7c1e-7cc3-98c4-dc0c0c07398f"),
    ("ce_source", b"/benchmarks/readers"),
    ("ce_type", b"measured"),
    ("ce_time", b"2026-01-01T00:00:00.000Z"),
)
_BODY = "x" * 140
_TICK = 0.005


def create_topic(bootstrap: str, topic: str, partitions: int) -> None:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap))
    admin.create(TopicSpec(topic, partitions, {}))
    admin.close()


def fill(bootstrap: str, topic: str, partitions: int, count: int) -> None:
    """Write ``count`` records, spread over the partitions, as fast as it goes."""
    writer = ConfluentWriter(KafkaSettings(bootstrap=bootstrap))
    for number in range(count):
        offer(writer, _record(topic, number % partitions, number))
    writer.close(60.0)


def pace(bootstrap: str, topic: str, partitions: int, rate: int) -> None:
    """Write ``rate`` records a second on an open-loop schedule until the process ends."""
    writer = ConfluentWriter(KafkaSettings(bootstrap=bootstrap))
    per_tick = max(1, round(rate * _TICK))
    numbers = itertools.count()
    due = time.monotonic()
    while True:
        for number in itertools.islice(numbers, per_tick):
            offer(writer, _record(topic, number % partitions, number))
        due += per_tick / rate
        time.sleep(max(0.0, due - time.monotonic()))


def _record(topic: str, partition: int, number: int) -> NewRecord:
    key = b"group-%d/entity-%d" % (partition, number % 10_000)
    value = b'{"number":%d,"at":%d,"body":"%s"}' % (number, time.time_ns(), _BODY.encode())
    return NewRecord(topic, partition, key, value, _HEADERS)
