"""The brokers that the contract suite runs over, and what a test does to them by hand."""

import secrets
import time
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # not in its stubs

from contract.poison import produce_raw, with_broken_header_names
from harness.waiting import wait_until
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader, ConfluentWriter
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.ports import RecordReader, RecordWriter, SyncRecordWriter, TopicAdmin
from tidewire.kafka.records import NewRecord, TopicPartition, TopicSpec
from tidewire.kafka.settings import KafkaSettings

__all__ = ["RECENT_MS", "Backend", "MemoryBackend", "ServerBackend", "new_topic"]

RECENT_MS = time.time_ns() // 1_000_000 - 60_000
"""A record timestamp of this run: a broker removes records of the past when it likes."""


class Backend(Protocol):
    """One broker with the clients under test."""

    @property
    def has_topic_ids(self) -> bool: ...

    def reader(self) -> RecordReader: ...

    def writer(self, **overrides: Any) -> RecordWriter: ...

    def sync_writer(self, **overrides: Any) -> SyncRecordWriter: ...

    def admin(self) -> TopicAdmin: ...

    def seed(self, records: Sequence[NewRecord]) -> None:
        """Write records and return once they are acknowledged."""
        ...

    async def seed_undecodable(self, records: Sequence[NewRecord], broken: Collection[int]) -> None:
        """Write records of one partition at once; no reader can decode those at ``broken``."""
        ...

    def abort(self, records: Sequence[NewRecord]) -> None:
        """Write records in a transaction that is aborted."""
        ...

    def truncate_before(self, where: TopicPartition, offset: int) -> None: ...


def new_topic(
    backend: Backend,
    partitions: int = 1,
    config: Mapping[str, str] | None = None,
    *,
    name: str = "",
) -> str:
    name = name or f"contract-{secrets.token_hex(6)}"
    backend.admin().create(TopicSpec(name, partitions, config or {}))
    return name


_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call] # untyped in the client


@lru_cache(maxsize=8)
def _seeder(bootstrap: str) -> ConfluentWriter:
    """One writer for all tests of a broker: a fresh idempotent producer takes a second to start."""
    return ConfluentWriter(KafkaSettings(bootstrap=bootstrap, linger=0))


@dataclass
class MemoryBackend:
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    has_topic_ids: bool = True

    def reader(self) -> RecordReader:
        return self.broker.reader()

    def writer(self, **overrides: Any) -> RecordWriter:
        return self.broker.writer(max_record_bytes=overrides.get("max_record_bytes", 1024 * 1024))

    def sync_writer(self, **overrides: Any) -> SyncRecordWriter:
        return self.broker.sync_writer(
            buffer_records=overrides.get("buffer_records", 100_000),
            max_record_bytes=overrides.get("max_record_bytes", 1024 * 1024),
        )

    def admin(self) -> TopicAdmin:
        return self.broker.admin()

    def seed(self, records: Sequence[NewRecord]) -> None:
        for record in records:
            self.broker.append(record)

    async def seed_undecodable(self, records: Sequence[NewRecord], broken: Collection[int]) -> None:
        for index, record in enumerate(records):
            if index in broken:
                self.broker.append_undecodable(TopicPartition(record.topic, record.partition))
            else:
                self.broker.append(record)

    def abort(self, records: Sequence[NewRecord]) -> None:
        touched = {TopicPartition(record.topic, record.partition) for record in records}
        for record in records:
            self.broker.append_hole(TopicPartition(record.topic, record.partition))
        for where in touched:
            self.broker.append_hole(where)  # the marker that ends the transaction

    def truncate_before(self, where: TopicPartition, offset: int) -> None:
        self.broker.truncate_before(where, offset)


@dataclass
class ServerBackend:
    """A broker of its own process."""

    bootstrap: str
    has_topic_ids: bool = True
    fetch_pause: float = 0.0

    def settings(self, **overrides: Any) -> KafkaSettings:
        given = {
            "bootstrap": self.bootstrap,
            "fetch_wait": 0.05,
            "fetch_pause": self.fetch_pause,
            "silence_timeout": 1.0,
            "delivery_timeout": 20.0,
        }
        return KafkaSettings(**(given | overrides))

    def reader(self) -> RecordReader:
        return ConfluentReader(self.settings())

    def writer(self, **overrides: Any) -> RecordWriter:
        return AiokafkaWriter(self.settings(**overrides))

    def sync_writer(self, **overrides: Any) -> SyncRecordWriter:
        return ConfluentWriter(self.settings(**overrides))

    def admin(self) -> TopicAdmin:
        return ConfluentAdmin(self.settings())

    def seed(self, records: Sequence[NewRecord]) -> None:
        writer = _seeder(self.bootstrap)
        for record in records:
            writer.offer(record)
        assert writer.flush(20.0) == 0

    async def seed_undecodable(self, records: Sequence[NewRecord], broken: Collection[int]) -> None:
        batch = with_broken_header_names(records, broken)
        await produce_raw(self.bootstrap, records[0].topic, records[0].partition, batch)

    def abort(self, records: Sequence[NewRecord]) -> None:
        producer = self.transactional_producer()
        producer.begin_transaction()
        for record in records:
            producer.produce(
                record.topic, value=record.value, key=record.key, partition=record.partition
            )
        producer.flush(10.0)
        producer.abort_transaction(10.0)
        touched = {TopicPartition(record.topic, record.partition) for record in records}
        wait_until(lambda: self._are_stable(touched), what="the markers that end the transaction")

    def _are_stable(self, partitions: Set[TopicPartition]) -> bool:
        """Whether no transaction is open: brokers write the closing markers after they answered."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        ends = [
            {
                where.partition: answer.result(10.0).offset
                for where, answer in admin.list_offsets(
                    {ck.TopicPartition(*tp): _LATEST for tp in partitions},
                    isolation_level=isolation,
                ).items()
            }
            for isolation in (
                ck.IsolationLevel.READ_COMMITTED,
                ck.IsolationLevel.READ_UNCOMMITTED,
            )
        ]
        return ends[0] == ends[1]

    def compressed(self, records: Sequence[NewRecord], codec: str) -> None:
        """Write records in batches compressed by one of Kafka's codecs."""
        producer = ck.Producer(
            {"bootstrap.servers": self.bootstrap, "compression.type": codec, "linger.ms": 50}
        )
        for record in records:
            producer.produce(
                record.topic, value=record.value, key=record.key, partition=record.partition
            )
        assert producer.flush(10.0) == 0

    def transactional_producer(self) -> ck.Producer:
        producer = ck.Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "transactional.id": f"contract-{secrets.token_hex(6)}",
                "log_level": 0,  # the coordinator of a fresh broker is still loading
            }
        )
        producer.init_transactions(30.0)
        return producer

    def truncate_before(self, where: TopicPartition, offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        answers = admin.delete_records([ck.TopicPartition(*where, offset)])
        for answer in answers.values():
            answer.result(10.0)
