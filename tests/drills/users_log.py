"""Messages to users and their way through the inboxes, read back from Kafka as entries of a history."""

from collections import Counter
from collections.abc import Iterator

from histories.entries import Addressed, LogEntry, Published, Topic, digest
from tidewire.kafka.records import Record
from tidewire.targeting.messages import letter_of, message_of

from .broker import LoggedRecord, Topics
from .poison import is_poison

__all__ = ["OWN", "TWICE", "addressed", "published"]

OWN = "@me"
TWICE = "twice"
"""Under which it is counted that a letter was written to one inbox once more."""


def published(topics: Topics, topic: str) -> Iterator[LogEntry]:
    """The targeted topic and its messages."""
    epoch = topics.epoch(topic)
    yield Topic(OWN, epoch, topics.partitions(topic), "user")
    for record in topics.read_back(topic):
        if is_poison(record):
            continue
        message = message_of(_as_record(topic, record))
        yield Published(
            stream=OWN,
            epoch=epoch,
            partition=message.partition,
            offset=message.offset,
            key=message.collapse_key or message.id,
            ts=message.ts_ms,
            digest=digest(message.data),
            to=message.user,
            is_kept=message.is_kept,
            collapses=message.collapse_key is not None,
        )


def addressed(topics: Topics, inbox: str, topic: str, counted: Counter[str]) -> Iterator[Addressed]:
    """For whom those letters were written that are kept nowhere."""
    epoch = topics.epoch(topic)
    written: set[tuple[str, int, int]] = set()
    for record in topics.read_back(inbox):
        node_epoch, letter = letter_of(_as_record(inbox, record))
        place = node_epoch, letter.partition, letter.offset
        counted[TWICE] += place in written
        written.add(place)
        if not letter.is_kept:
            yield Addressed(
                node_epoch=node_epoch,
                epoch=epoch,
                partition=letter.partition,
                offset=letter.offset,
            )


def _as_record(topic: str, logged: LoggedRecord) -> Record:
    return Record(
        topic,
        logged.partition,
        logged.offset,
        logged.timestamp_ms,
        logged.key,
        logged.value,
        logged.headers,
    )
