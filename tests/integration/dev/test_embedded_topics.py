"""What the embedded broker holds stays small, and tables stay complete, with the settings of `dev`."""

from collections.abc import Callable
from pathlib import Path

from harness.waiting import eventually
from tidewire.config.streams import Stream
from tidewire.dev.brokers import embedded_broker
from tidewire.dev.infrastructure import EMBEDDED_TOPICS
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader, ConfluentWriter
from tidewire.kafka.records import NewRecord, TopicPartition
from tidewire.kafka.settings import KafkaSettings
from tidewire.topics.plan import spec_of

KEYS = 100
WRITTEN = 20_000
VALUE = b'"' + b"x" * 500 + b'"'


async def test_table_is_compacted_and_keeps_every_key(
    tmp_path: Path, unique_name: Callable[[str], str]
) -> None:
    topic = unique_name("table")
    with embedded_broker(tmp_path) as broker:
        settings = KafkaSettings(bootstrap=broker.bootstrap)
        # Compacted at once: the minute that `dev` leaves is for readers, not for this test.
        overrides = {**EMBEDDED_TOPICS, "min.compaction.lag.ms": "0"}
        ConfluentAdmin(settings).create(spec_of(Stream(topic=topic, table=True), overrides))
        writer = ConfluentWriter(settings)
        for number in range(WRITTEN):
            writer.offer(NewRecord(topic, 0, f"key-{number % KEYS}".encode(), VALUE))
            if number % 1000 == 0:
                assert writer.flush(10) == 0
        assert writer.flush(10) == 0
        writer.close(10)

        async def kept() -> list[bytes | None] | None:
            keys = await _keys(settings, TopicPartition(topic, 0))
            return keys if len(keys) < WRITTEN / 2 else None

        keys = await eventually(kept, within=20, what="compaction")
        assert len(set(keys)) == KEYS


async def _keys(settings: KafkaSettings, partition: TopicPartition) -> list[bytes | None]:
    reader = ConfluentReader(settings)
    await reader.start()
    try:
        end = (await reader.bounds([partition]))[partition].end
        await reader.assign({partition: 0})
        keys: list[bytes | None] = []
        at = 0
        while at < end:
            fetched = await reader.fetch(max_records=5000, max_wait=1.0)
            keys += [record.key for record in fetched.records]
            at = fetched.next_offsets.get(partition, at)
        return keys
    finally:
        await reader.close()
