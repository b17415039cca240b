"""A publishing process: keyed values at a steady rate, until SIGTERM; ends 0 once all is acknowledged.

``python -m drills.publisher CONFIG.json``, the configuration being a list of `Flow` and one of `UserFlow`. A value
says when it was published (`at`, Unix seconds) and which of its flow it is (`n`).
"""

import itertools
import json
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.errors import BufferFullError
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing.events import Origin
from tidewire.publishing.user_events import UserEvent, build_user_record, targeted

__all__ = ["Flow", "UserFlow", "main", "user_name"]

TICK = 0.005
DELIVERY_TIMEOUT = 600.0
FLUSH_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Events for one topic: ``rate`` a second over ``groups`` times ``entities`` keys of ``group/entity``.

    ``removals`` is the share of tombstones, ``padding`` bytes make a value larger, ``most`` ends the flow
    after so many events (0: never), ``backdated`` stamps records so many seconds into the past.
    """

    topic: str
    partitions: int
    rate: float
    groups: int = 8
    entities: int = 25
    removals: float = 0.0
    padding: int = 0
    most: int = 0
    backdated: float = 0.0
    seed: int = 1

    def records(self) -> Iterator[NewRecord]:
        """Its events in order, each stamped when it is taken."""
        chance = random.Random(self.seed)
        padding = "x" * self.padding
        number = 0
        while not self.most or number < self.most:
            number += 1
            group = f"g{chance.randrange(self.groups)}"
            key = f"{group}/e{chance.randrange(self.entities)}"
            value = None
            if chance.random() >= self.removals:
                body: dict[str, Any] = {"n": number, "at": time.time()}
                if padding:
                    body["pad"] = padding
                value = json.dumps(body).encode()
            partition = partition_of(group.encode(), self.partitions)
            stamp = int((time.time() - self.backdated) * 1000) if self.backdated else None
            yield NewRecord(self.topic, partition, key.encode(), value, timestamp_ms=stamp)


@dataclass(frozen=True, slots=True)
class UserFlow:
    """Messages to ``users`` users by chance, ``rate`` a second.

    ``fleeting`` is the share of those that are delivered at once or never (ttl 0), ``collapsing`` that of those with
    one of three collapse keys.
    """

    topic: str
    partitions: int
    rate: float
    users: int
    fleeting: float = 0.1
    collapsing: float = 0.1
    seed: int = 1

    def records(self) -> Iterator[NewRecord]:
        """Its messages in order, each stamped when it is taken."""
        chance = random.Random(self.seed)
        to = targeted(self.topic, self.partitions)
        for number in itertools.count(1):
            user = user_name(chance.randrange(self.users))
            kind = chance.random()
            is_collapsing = self.fleeting <= kind < self.fleeting + self.collapsing
            event = UserEvent(
                user,
                {"n": number, "at": time.time()},
                ttl=0 if kind < self.fleeting else None,
                collapse_key=f"c{chance.randrange(3)}" if is_collapsing else None,
            )
            now = datetime.now(UTC).isoformat()
            yield build_user_record(event, to, Origin("/drill", f"{self.seed}-{number}", now))


def user_name(number: int) -> str:
    return f"user-{number:04}"


class _Paced:
    """A flow, and how much of it is due."""

    def __init__(self, flow: Flow | UserFlow, now: float) -> None:
        self._flow = flow
        self._records = flow.records()
        self._started = now
        self._taken = 0
        self._put_back: NewRecord | None = None
        self.is_over = False

    def due(self, now: float) -> Iterator[NewRecord]:
        while not self.is_over and self._taken < (now - self._started) * self._flow.rate:
            record = self._put_back or next(self._records, None)
            if record is None:
                self.is_over = True
                return
            self._put_back = None
            self._taken += 1
            yield record

    def put_back(self, record: NewRecord) -> None:
        """There was no room for it: it is due again."""
        self._put_back = record
        self._taken -= 1


def main(config: Path) -> int:
    asked = json.loads(config.read_text())
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    writer = ConfluentWriter(
        KafkaSettings(
            bootstrap=asked["bootstrap"],
            delivery_timeout=DELIVERY_TIMEOUT,
            buffer_records=1_000_000,
        )
    )
    started = time.monotonic()
    asked_flows: list[Flow | UserFlow] = [Flow(**flow) for flow in asked["flows"]]
    asked_flows += [UserFlow(**flow) for flow in asked["user_flows"]]
    flows = [_Paced(flow, started) for flow in asked_flows]
    for flow in asked_flows:
        writer.partitions_of(flow.topic)
    sys.stdout.write('{"event":"ready"}\n')
    sys.stdout.flush()
    while not stopped and not all(flow.is_over for flow in flows):
        _offer(writer, flows, time.monotonic())
        time.sleep(TICK)
    writer.close(FLUSH_TIMEOUT)
    return 0


def _offer(writer: ConfluentWriter, flows: list[_Paced], now: float) -> None:
    for flow in flows:
        for record in flow.due(now):
            try:
                writer.offer(record)
            except BufferFullError:
                flow.put_back(record)
                return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
