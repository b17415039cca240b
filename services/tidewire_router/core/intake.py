"""What records of the targeted topic are: messages, expired, or for the dead letter topic."""

from collections.abc import Iterable
from typing import NamedTuple

from tidewire.kafka.records import Record
from tidewire.targeting.errors import BadMessageError
from tidewire.targeting.messages import Message, message_of

from .lifetimes import until_ms

__all__ = ["DeadLetter", "Intake", "sort_records"]


class DeadLetter(NamedTuple):
    """A record that can reach nobody; ``reason`` is a word, ``detail`` a sentence with the cure."""

    record: Record
    reason: str
    detail: str


class Intake(NamedTuple):
    """Messages in the order of their records; ``expired`` counts those that were for now or never, and are too old.

    Kept ones that have expired are among the messages: the mailbox has to know that something was lost.
    """

    messages: list[Message]
    dead_letters: list[DeadLetter]
    expired: int


def sort_records(
    records: Iterable[Record], *, now_ms: int, ttl_ms: int, partitions: int | None = None
) -> Intake:
    """Read records at a wall-clock time; ``ttl_ms`` is the mailbox's, ``partitions`` how many the topic has."""
    messages: list[Message] = []
    dead_letters: list[DeadLetter] = []
    expired = 0
    for record in records:
        try:
            message = message_of(record, partitions=partitions)
        except BadMessageError as error:
            dead_letters.append(DeadLetter(record, error.reason.value, str(error)))
            continue
        if not message.is_kept and until_ms(message, ttl_ms) <= now_ms:
            expired += 1
        else:
            messages.append(message)
    return Intake(messages, dead_letters, expired)
