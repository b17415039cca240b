"""What operators and accidents do to the topics of a running Kafka."""

import time
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stubs re-export none of these
    AdminClient,
    NewPartitions,
    NewTopic,
)

__all__ = ["KafkaTopics"]

_TIMEOUT = 20.0


class KafkaTopics:
    """Blocking calls: from an event loop, through `asyncio.to_thread`."""

    def __init__(self, bootstrap: str) -> None:
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, name: str, partitions: int, **config: str) -> None:
        """Make a topic; one of that name that is still being deleted is waited for."""
        topic = NewTopic(
            name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()}
        )
        give_up_at = time.monotonic() + _TIMEOUT
        while True:
            try:
                self._admin.create_topics([topic])[name].result(_TIMEOUT)
            except KafkaException:
                if time.monotonic() > give_up_at:
                    raise
            else:
                return

    def delete(self, name: str) -> None:
        self._admin.delete_topics([name])[name].result(_TIMEOUT)

    def recreate(self, name: str, partitions: int, **config: str) -> None:
        self.delete(name)
        self.create(name, partitions, **config)

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions."""
        self._admin.create_partitions([NewPartitions(name, partitions)])[name].result(_TIMEOUT)

    def delete_records(self, name: str, partition: int, before: int) -> None:
        """Let a partition begin at ``before``, as retention does; -1: at its end."""
        where = TopicPartition(name, partition, before)
        for answer in self._admin.delete_records([where]).values():
            answer.result(_TIMEOUT)
