"""What aiokafka raises, said in Tidewire's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka

from .errors import (
    BrokerUnavailableError,
    KafkaError,
    RecordTooLargeError,
    UnknownTopicError,
)

__all__ = ["translate", "translated"]

_TOO_LARGE = (
    kafka.MessageSizeTooLargeError,
    kafka.RecordListTooLargeError,
    kafka.RecordTooLargeError,
)
_AWAY = (
    kafka.KafkaConnectionError,
    kafka.KafkaTimeoutError,
    kafka.NodeNotReadyError,
    kafka.RequestTimedOutError,
    kafka.LeaderNotAvailableError,
    kafka.NotLeaderForPartitionError,
    kafka.StaleMetadata,
)


def translate(error: kafka.KafkaError, what: str, *, topic: str | None = None) -> KafkaError:
    """The error that stands for aiokafka's; ``what`` says what was tried, ``topic`` where."""
    if isinstance(error, _TOO_LARGE):
        return RecordTooLargeError(
            f"{what}: the record is larger than allowed: publish less, or raise max_record_bytes and the "
            "topic's max.message.bytes"
        )
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return UnknownTopicError(
            f"{what}: there is no such topic or partition: make it first", topic=topic
        )
    if isinstance(error, _AWAY):
        return BrokerUnavailableError(f"{what}: no answer: is the broker up and the address right?")
    return KafkaError(f"{what}: {type(error).__name__}: {error}")


@contextmanager
def translated(what: str, *, topic: str | None = None) -> Iterator[None]:
    """Let no error of aiokafka, and no expired deadline, out of the block as it is."""
    try:
        yield
    except kafka.KafkaError as error:
        raise translate(error, what, topic=topic) from error
    except TimeoutError as error:
        raise BrokerUnavailableError(
            f"{what}: no answer in time: is the broker up and the address right?"
        ) from error
