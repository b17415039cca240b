"""The synchronous writer on confluent-kafka: idempotent, acks=all, bounded buffer."""

import logging
from typing import Any

import confluent_kafka as ck
from confluent_kafka import TopicCollection

from .confluent_errors import translate, translated
from .confluent_questions import Questions
from .errors import BrokerUnavailableError, BufferFullError, KafkaError, UnknownTopicError
from .log_noise import LIBRDKAFKA_LOGGER, calm_client_logs
from .records import NewRecord
from .settings import KafkaSettings

__all__ = ["ConfluentWriter"]


class ConfluentWriter:
    """`SyncRecordWriter` on confluent-kafka; any thread may use it."""

    def __init__(self, settings: KafkaSettings) -> None:
        calm_client_logs()
        self._settings = settings
        self._failure: KafkaError | None = None
        self._partitions_by_topic: dict[str, int] = {}
        self._questions: Questions | None = None
        self._producer = ck.Producer(
            # Reports of successes would cost more than the sending; what is unacknowledged is counted.
            settings.librdkafka_producer() | {"delivery.report.only.error": True},
            logger=logging.getLogger(LIBRDKAFKA_LOGGER),
        )

    def offer(self, record: NewRecord) -> None:
        count = self.partitions_of(record.topic)
        if not 0 <= record.partition < count:
            raise UnknownTopicError(
                f"topic {record.topic!r} has no partition {record.partition}: it has {count}",
                topic=record.topic,
            )
        try:
            self._queue(record)
        except BufferError:
            self._producer.poll(0)
            self._queue_or_refuse(record)
        self._producer.poll(0)

    def partitions_of(self, topic: str) -> int:
        count = self._partitions_by_topic.get(topic)
        if count is None:
            count = self._ask_partitions(topic)
            self._partitions_by_topic[topic] = count
        return count

    def flush(self, timeout: float) -> int:
        left = int(self._producer.flush(timeout))
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return left

    def close(self, timeout: float) -> None:
        try:
            left = self.flush(timeout)
        finally:
            self._producer.purge()
            self._producer.flush(0)
            self._failure = None
        if left:
            raise BrokerUnavailableError(
                f"{left} records were not acknowledged by Kafka at {self._settings.bootstrap} within "
                f"{timeout:g} s and are lost: is the broker up?"
            )

    def _queue_or_refuse(self, record: NewRecord) -> None:
        try:
            self._queue(record)
        except BufferError as error:
            raise BufferFullError(
                f"{len(self._producer)} records wait for Kafka at {self._settings.bootstrap}: "
                "flush, or publish more slowly"
            ) from error

    def _queue(self, record: NewRecord) -> None:
        with translated(f"writing to {record.topic}[{record.partition}]", topic=record.topic):
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp=record.timestamp_ms or 0,
                headers=list(record.headers),
                on_delivery=self._delivered,
            )

    def _delivered(self, error: ck.KafkaError | None, message: Any) -> None:
        if error is None or self._failure is not None:
            return
        self._failure = translate(
            error, f"writing to {message.topic()}[{message.partition()}]", topic=message.topic()
        )
        if isinstance(self._failure, UnknownTopicError):
            self._partitions_by_topic.pop(message.topic(), None)

    def _ask_partitions(self, topic: str) -> int:
        """Describe the topic: librdkafka's own metadata request creates it where brokers allow that."""
        if self._questions is None:
            self._questions = Questions(self._settings)
        timeout = self._settings.request_timeout
        with self._questions.naming(
            f"asking Kafka at {self._settings.bootstrap} for topic {topic!r}", topic=topic
        ):
            asked = self._questions.client.describe_topics(
                TopicCollection([topic]), request_timeout=timeout
            )
            return len(self._questions.answer(asked[topic], timeout).partitions)
