"""The drill's Kafka: switched off and on, its topics made, deleted, grown, truncated, read back."""

import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stubs re-export none of these
    AdminClient,
    NewPartitions,
)

from harness.ports import free_port
from harness.waiting import wait_until
from tidewire.dev.brokers import RunningBroker, apache_kafka
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings

__all__ = ["LoggedRecord", "SwitchedKafka", "Topics"]

ADMIN_TIMEOUT = 20.0
READ_RECORDS = 5000
READ_WAIT = 0.2
_headers_of = methodcaller("headers")
"""Only so is the error found that the client leaves pending: see `ConfluentReader`."""


class SwitchedKafka:
    """An Apache Kafka of its own, at one address, that can go away and come back."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._port = free_port()
        self._manager: AbstractContextManager[RunningBroker] | None = None
        self._broker: RunningBroker | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    def on(self) -> None:
        """Start it; returns once it answers."""
        assert self._manager is None
        manager = apache_kafka(self._data_dir, port=self._port)
        self._broker = manager.__enter__()
        self._manager = manager

    def off(self) -> None:
        """End it in order; nothing where it is off."""
        manager, self._manager = self._manager, None
        self._broker = None
        if manager is not None:
            manager.__exit__(None, None, None)

    def ensure_on(self) -> None:
        if self._manager is None:
            self.on()

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._broker is not None
        os.kill(self._broker.pid, signal.SIGKILL)
        self.off()


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """One record as it stands in the log."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Topics:
    """What a drill does to topics."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap))
        self._client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def create(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        self._admin.create(TopicSpec(name, partitions, dict(config or {})))

    def delete(self, name: str) -> None:
        self._admin.delete(name)

    def epoch(self, name: str) -> str:
        """The topic id, which clients see as the epoch of their positions."""
        topic_id = self._admin.describe([name])[name].topic_id
        assert topic_id is not None
        return topic_id

    def partitions(self, name: str) -> int:
        return self._admin.describe([name])[name].partitions

    def grow(self, name: str, partitions: int) -> None:
        """Raise the partition count; returns once every client can see it."""
        asked = self._client.create_partitions([NewPartitions(name, partitions)])
        asked[name].result(ADMIN_TIMEOUT)
        wait_until(lambda: self.partitions(name) == partitions, within=ADMIN_TIMEOUT)

    def truncate(self, name: str, ends: Mapping[int, int]) -> None:
        """Delete every record below the given offset, by partition."""
        places = [ck.TopicPartition(name, p, offset) for p, offset in ends.items()]
        for asked in self._client.delete_records(places).values():
            asked.result(ADMIN_TIMEOUT)

    def bounds(self, name: str) -> dict[int, tuple[int, int]]:
        """First and end offset by partition."""
        consumer = self._consumer()
        try:
            return {
                p: consumer.get_watermark_offsets(ck.TopicPartition(name, p), ADMIN_TIMEOUT)
                for p in range(self.partitions(name))
            }
        finally:
            consumer.close()

    def lag(self, name: str, group: str) -> int:
        """How many records of a topic a consumer group has not committed yet."""
        places = [ck.TopicPartition(name, p) for p in range(self.partitions(name))]
        consumer = self._consumer(group)
        try:
            committed = consumer.committed(places, timeout=ADMIN_TIMEOUT)
            bounds = [consumer.get_watermark_offsets(place, ADMIN_TIMEOUT) for place in places]
        finally:
            consumer.close()
        return sum(
            end - (place.offset if place.offset >= 0 else start)
            for place, (start, end) in zip(committed, bounds, strict=True)
        )

    def members(self, group: str) -> int:
        """How many members a consumer group has."""
        asked = self._client.describe_consumer_groups([group], request_timeout=ADMIN_TIMEOUT)
        return len(asked[group].result(ADMIN_TIMEOUT).members)

    def read_back(self, name: str) -> Iterator[LoggedRecord]:
        """Every record that the topic holds now; what comes meanwhile may be among it or not."""
        ends = {p: end for p, (start, end) in self.bounds(name).items() if end > start}
        consumer = self._consumer()
        try:
            consumer.assign([ck.TopicPartition(name, p, ck.OFFSET_BEGINNING) for p in ends])
            heard_at = time.monotonic()
            while ends:
                for message in consumer.consume(READ_RECORDS, timeout=READ_WAIT):
                    heard_at = time.monotonic()
                    yield from _taken(message, ends)
                if time.monotonic() - heard_at > ADMIN_TIMEOUT:
                    raise TimeoutError(f"{name} could not be read back: nothing came any more")
        finally:
            consumer.close()

    def _consumer(self, group: str | None = None) -> Any:
        return ck.Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": group or f"drill-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )


def _taken(message: Any, ends: dict[int, int]) -> Iterator[LoggedRecord]:
    """The record of a message, if it is one; partitions read to their end leave ``ends``."""
    error = message.error()
    if error is not None:
        if error.code() != ck.KafkaError._PARTITION_EOF:
            raise ck.KafkaException(error)
        ends.pop(message.partition(), None)
        return
    # Under load there may never be an answer that says that this is the end.
    if message.offset() + 1 >= ends.get(message.partition(), 0):
        ends.pop(message.partition(), None)
    try:
        headers = _headers_of(message) or ()
    except SystemError:
        return  # a header name that is no UTF-8: what nobody can decode is no event
    yield LoggedRecord(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )
