"""The publisher of the measurements: a process of its own that writes records on a schedule.

``python -m benchmarks.gateway.publishing HOST:PORT`` takes one JSON command a line on stdin
(`Schedule`'s fields) and answers ``{"event":"done","records":n}`` once all are acknowledged.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import Header, NewRecord
from tidewire.kafka.settings import KafkaSettings

from ..offering import offer

__all__ = ["Schedule", "main"]

_FLUSH_TIMEOUT = 60.0
_TICK = 0.005
_LINGER = 0.0005
"""Seconds; without any, librdkafka spins on a whole core while a batch is on its way."""
_HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"0199a6f2-7c1e-7cc3-98c4-dc0c0c07398f"),
    ("ce_source", b"/benchmarks"),
    ("ce_type", b"measured"),
    ("centrifugo-channels", b"bench"),  # so that a peer reads the very same records
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """``count`` records, ``rate`` a second (0: as fast as it goes), over ``keys`` keys in turn.

    Each key is a group of its own (``g7/e7``), and chooses its partition as the publishing SDK does; with ``to_users`` it
    is a user (``user-7``), and what is written are messages to them.
    ``data_bytes`` is the size of the JSON value. It carries ``at``: the scheduled moment, in monotonic
    nanoseconds; ``last`` marks the last record's. Every record carries a ``traceparent`` where ``sampled_every`` is set: one
    in so many is sampled, each in a trace of its own.
    """

    topic: str
    partitions: int
    count: int
    rate: float
    keys: int = 1
    data_bytes: int = 100
    last: bool = False
    to_users: bool = False
    sampled_every: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    writer = ConfluentWriter(
        KafkaSettings(bootstrap=sys.argv[1], linger=_LINGER, buffer_records=500_000)
    )
    for line in sys.stdin:
        schedule = Schedule(**json.loads(line))
        writer.partitions_of(schedule.topic)  # the question belongs before the schedule
        _publish(writer, schedule)
        writer.flush(_FLUSH_TIMEOUT)
        sys.stdout.write(json.dumps({"event": "done", "records": schedule.count}) + "\n")
        sys.stdout.flush()
    writer.close(_FLUSH_TIMEOUT)


def _publish(writer: ConfluentWriter, schedule: Schedule) -> None:
    records = _records(schedule)
    if not schedule.rate:
        for number in range(schedule.count):
            _offer_due(writer, next(records), number, schedule, time.monotonic_ns())
        return
    began = time.monotonic_ns()
    per_tick = max(1, round(schedule.rate * _TICK))
    for number in range(schedule.count):
        due = began + round(number // per_tick * per_tick / schedule.rate * 1e9)
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        _offer_due(writer, next(records), number, schedule, due)


def _records(schedule: Schedule) -> Iterator[NewRecord]:
    name = "user-{0}" if schedule.to_users else "g{0}/e{0}"
    keys = [name.format(number).encode() for number in range(schedule.keys)]
    places = [partition_of(key.partition(b"/")[0], schedule.partitions) for key in keys]
    for key, place in itertools.cycle(zip(keys, places, strict=True)):
        yield NewRecord(schedule.topic, place, key, b"", _HEADERS)


def _offer_due(
    writer: ConfluentWriter, record: NewRecord, number: int, schedule: Schedule, at: int
) -> None:
    is_last = schedule.last and number == schedule.count - 1
    record = record._replace(value=_data(at, schedule.data_bytes, is_last=is_last))
    if schedule.sampled_every:
        sampled = number % schedule.sampled_every == schedule.sampled_every - 1
        record = record._replace(headers=(*record.headers, _trace(at + number, sampled=sampled)))
    offer(writer, record)


def _trace(identity: int, *, sampled: bool) -> Header:
    return "traceparent", b"00-%032x-%016x-0%d" % (identity, identity, sampled)


def _data(at: int, size: int, *, is_last: bool) -> bytes:
    head = b'{"at":%d,%b"pad":"' % (at, b'"last":true,' if is_last else b"")
    return head + b"x" * max(0, size - len(head) - 2) + b'"}'


if __name__ == "__main__":
    main()
