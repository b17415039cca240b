"""What librdkafka reports, said in Tidewire's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka as ck

from .errors import (
    BrokerUnavailableError,
    KafkaError,
    RecordTooLargeError,
    TopicExistsError,
    UnknownTopicError,
)

__all__ = ["translate", "translated"]

_TOO_LARGE = {
    ck.KafkaError.MSG_SIZE_TOO_LARGE,
    ck.KafkaError.INVALID_MSG_SIZE,
    ck.KafkaError.RECORD_LIST_TOO_LARGE,
}
_UNKNOWN_TOPIC = {
    ck.KafkaError.UNKNOWN_TOPIC_OR_PART,
    ck.KafkaError._UNKNOWN_TOPIC,
    ck.KafkaError._UNKNOWN_PARTITION,
}
_AWAY = {
    ck.KafkaError._ALL_BROKERS_DOWN,
    ck.KafkaError._MSG_TIMED_OUT,
    ck.KafkaError._RESOLVE,
    ck.KafkaError._TIMED_OUT,
    ck.KafkaError._TIMED_OUT_QUEUE,
    ck.KafkaError._TRANSPORT,
    ck.KafkaError.LEADER_NOT_AVAILABLE,
    ck.KafkaError.NETWORK_EXCEPTION,
    ck.KafkaError.NOT_LEADER_FOR_PARTITION,
    ck.KafkaError.REQUEST_TIMED_OUT,
}


def translate(error: ck.KafkaError, what: str, *, topic: str | None = None) -> KafkaError:
    """The error that stands for librdkafka's; ``what`` says what was tried, ``topic`` where."""
    code = error.code()
    if code in _TOO_LARGE:
        return RecordTooLargeError(
            f"{what}: the record is larger than allowed: publish less, or raise max_record_bytes and the "
            "topic's max.message.bytes"
        )
    if code in _UNKNOWN_TOPIC:
        return UnknownTopicError(
            f"{what}: there is no such topic or partition: make it first", topic=topic
        )
    if code == ck.KafkaError.TOPIC_ALREADY_EXISTS:
        return TopicExistsError(f"{what}: the topic exists already")
    if code in _AWAY:
        return BrokerUnavailableError(f"{what}: no answer: is the broker up and the address right?")
    return KafkaError(f"{what}: {error.name()}: {error.str()}")


@contextmanager
def translated(what: str, *, topic: str | None = None) -> Iterator[None]:
    """Let no error of librdkafka, and no expired deadline, out of the block as it is."""
    try:
        yield
    except ck.KafkaException as error:
        raise translate(error.args[0], what, topic=topic) from error
    except TimeoutError as error:
        raise BrokerUnavailableError(
            f"{what}: no answer in time: is the broker up and the address right?"
        ) from error
