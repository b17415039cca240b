"""What can go wrong between Tidewire and a Kafka broker."""

from ..errors import TidewireError

__all__ = [
    "BrokerUnavailableError",
    "BufferFullError",
    "CredentialsRefusedError",
    "KafkaError",
    "OffsetOutOfRangeError",
    "RecordTooLargeError",
    "TlsFailedError",
    "TopicExistsError",
    "UnknownTopicError",
]


class KafkaError(TidewireError):
    """The broker refused, or could not be reached; the message names the broker or the topic."""


class BrokerUnavailableError(KafkaError):
    """No broker answered in time; a repetition may succeed."""


class CredentialsRefusedError(BrokerUnavailableError):
    """Brokers do not take our user, password or token; a repetition succeeds once somebody has put that right."""


class TlsFailedError(BrokerUnavailableError):
    """No broker shows a certificate that we trust, or one wants ours; a repetition succeeds as above."""


class UnknownTopicError(KafkaError):
    """The topic, or the partition, does not exist; ``topic`` names it where it is known."""

    def __init__(self, message: str, *, topic: str | None = None) -> None:
        super().__init__(message)
        self.topic = topic


class TopicExistsError(KafkaError):
    """The topic to be made is there already."""


class RecordTooLargeError(KafkaError):
    """The record is larger than the broker or the producer takes."""


class BufferFullError(KafkaError):
    """The producer's bounded buffer is full: the broker is slower than the caller."""


class OffsetOutOfRangeError(KafkaError):
    """A position lies below the log's start or beyond its end.

    ``partition`` names where; the reader never jumps by itself.
    """

    def __init__(self, message: str, *, topic: str, partition: int, offset: int) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.offset = offset
