"""Records that are no events and no messages, each for another reason, and marked: a drill's history leaves them out."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import confluent_kafka as ck

from contract.poison import produce_raw, with_broken_header_names
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord

from .broker import LoggedRecord

__all__ = ["LARGE", "UNDECODABLE", "Poisoner", "is_poison", "of_streams", "of_users"]

MARK = "drill-poison"
LARGE = (1 << 20) - 512
"""Bytes of the largest value that a broker takes, by default, with its key and headers."""
DEEP = 1000
UNDECODABLE = "undecodable"
FLUSH_TIMEOUT = 20.0
USER = "user-0000"
_MOST = 2 << 20


def is_poison(record: LoggedRecord) -> bool:
    return any(name == MARK for name, _ in record.headers)


def of_streams() -> Mapping[str, tuple[bytes | None, bytes]]:
    """Key and value by the reason that a gateway counts."""
    return {
        "no_key": (None, b"{}"),
        "bad_key": (b"\xff/\xfe", b"{}"),
        "not_json": (b"g0/e0", b'{"n": nothing'),
        "too_large": (b"g0/e0", json.dumps("x" * (LARGE - 2)).encode()),
        "too_deep": (b"g0/e0", b"[" * DEEP + b"]" * DEEP),
    }


def of_users(partitions: int) -> Iterator[tuple[str, NewRecord]]:
    """Records of a targeted topic, without their topic, by the reason that a router gives; of ``USER`` or nobody."""
    place = partition_of(USER.encode(), partitions)
    key, named = USER.encode(), ("ce_id", b"poison")
    yield "no_user", NewRecord("", 0, None, b"{}", [named])
    yield "bad_user", NewRecord("", 0, b"\xff", b"{}", [named])
    yield "wrong_partition", NewRecord("", (place + 1) % partitions, key, b"{}", [named])
    yield "no_data", NewRecord("", place, key, None, [named])
    yield "not_json", NewRecord("", place, key, b"\x00", [named])
    yield "too_large", NewRecord("", place, key, json.dumps("x" * (LARGE - 2)).encode(), [named])
    yield "no_id", NewRecord("", place, key, b"{}")
    yield "bad_ttl", NewRecord("", place, key, b"{}", [named, ("tidewire-ttl-ms", b"soon")])


class Poisoner:
    """Writes them; ``written`` counts those of each topic and reason."""

    def __init__(self, bootstrap: str) -> None:
        self.written: dict[tuple[str, str], int] = {}
        self._bootstrap = bootstrap
        self._refused: list[ck.KafkaError] = []
        config: dict[str, Any] = {"bootstrap.servers": bootstrap, "message.max.bytes": _MOST}
        self._producer = ck.Producer({**config, "log_level": 0})

    def poison_stream(self, topic: str, partitions: int, *, is_compacted: bool) -> None:
        """One of each kind in every partition; returns once the broker has them.

        A compacted topic takes none without a key.
        """
        for partition in range(partitions):
            for reason, (key, value) in of_streams().items():
                if key is None and is_compacted:
                    continue
                self._write(topic, reason, NewRecord("", partition, key, value))
            self._write_undecodable(topic, partition)
        self._flush()

    def poison_users(self, topic: str, partitions: int) -> None:
        """One of each kind, all but two for one user; returns once the broker has them."""
        for reason, record in of_users(partitions):
            self._write(topic, reason, record)
        self._write_undecodable(topic, 0)
        self._flush()

    def of(self, topics: Iterable[str]) -> dict[str, int]:
        """How many were written to these topics, by reason."""
        wanted = set(topics)
        found: dict[str, int] = {}
        for (topic, reason), count in self.written.items():
            if topic in wanted:
                found[reason] = found.get(reason, 0) + count
        return found

    def _write(self, topic: str, reason: str, record: NewRecord) -> None:
        headers: list[tuple[str, str | bytes | None]] = [*record.headers, (MARK, reason.encode())]
        self._producer.produce(
            topic,
            record.value,
            record.key,
            partition=record.partition,
            headers=headers,
            on_delivery=self._delivered,
        )
        self._count(topic, reason)

    def _write_undecodable(self, topic: str, partition: int) -> None:
        batch = with_broken_header_names([NewRecord(topic, partition, b"g0/e0", b"{}")], [0])
        asyncio.run(produce_raw(self._bootstrap, topic, partition, batch))
        self._count(topic, UNDECODABLE)

    def _flush(self) -> None:
        left = self._producer.flush(FLUSH_TIMEOUT)
        assert left == 0, f"{left} records were not taken"
        assert not self._refused, f"the broker refused: {self._refused[0]}"

    def _delivered(self, error: ck.KafkaError | None, _message: ck.Message) -> None:
        if error is not None:
            self._refused.append(error)

    def _count(self, topic: str, reason: str) -> None:
        self.written[topic, reason] = self.written.get((topic, reason), 0) + 1
