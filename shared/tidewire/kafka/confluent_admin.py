"""Topics through librdkafka's admin client."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stubs re-export none of these
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from .confluent_questions import Questions
from .errors import BrokerUnavailableError, TopicExistsError, UnknownTopicError
from .records import TopicSpec, TopicState
from .settings import KafkaSettings

__all__ = ["ConfluentAdmin"]

_POLL_INTERVAL = 0.05
_NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # sixteen zero bytes, as Kafka writes ids


class _Described(NamedTuple):
    id: str | None
    partitions: int
    replication: int | None
    has_leaders: bool


class ConfluentAdmin:
    """`TopicAdmin` on confluent-kafka."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._questions = Questions(settings)
        self._client = self._questions.client
        self._pause = threading.Event()

    def describe(self, names: Sequence[str]) -> Mapping[str, TopicState]:
        wanted = list(dict.fromkeys(names))
        described = self._described(wanted)
        configs = self._configs(list(described))
        return {
            name: TopicState(name, topic.id, topic.partitions, configs[name], topic.replication)
            for name, topic in described.items()
            if name in configs
        }

    def create(self, spec: TopicSpec) -> None:
        new = NewTopic(
            spec.name,
            num_partitions=spec.partitions,
            replication_factor=spec.replication,
            config=dict(spec.config),
        )
        try:
            with self._questions.naming(f"making topic {spec.name!r}"):
                made = self._client.create_topics([new], request_timeout=self._timeout)
                self._questions.answer(made[spec.name], self._timeout)
        except TopicExistsError:
            # Whom the controller tells so may ask a broker that has not heard of it.
            self._until(lambda: bool(self._described([spec.name])), f"no {spec.name!r} to be seen")
            raise
        self._until(lambda: self._is_ready(spec), f"topic {spec.name!r} has no leaders yet")

    def brokers(self) -> int:
        with self._questions.naming(f"asking Kafka at {self._settings.bootstrap} for its brokers"):
            asked = self._client.describe_cluster(request_timeout=self._timeout)
            return len(self._questions.answer(asked, self._timeout).nodes)

    def delete(self, name: str) -> None:
        with self._questions.naming(f"deleting topic {name!r}", topic=name):
            deleted = self._client.delete_topics([name], request_timeout=self._timeout)
            self._questions.answer(deleted[name], self._timeout)
        self._until(lambda: not self._described([name]), f"topic {name!r} is still there")

    def wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                if self._client.list_topics(timeout=min(1.0, remaining)).brokers:
                    return
            except KafkaException:
                self._questions.listen()
                self._pause.wait(min(_POLL_INTERVAL, remaining))
        raise BrokerUnavailableError(
            f"no Kafka broker answered at {self._settings.bootstrap} for {timeout:g} s: "
            "is it up and the address right?"
        )

    def close(self) -> None:
        """Nothing to let go of: librdkafka's handle ends with this object."""

    @property
    def _timeout(self) -> float:
        return self._settings.request_timeout

    def _described(self, names: Sequence[str]) -> dict[str, _Described]:
        """Each topic that exists."""
        described: dict[str, _Described] = {}
        if not names:
            return described
        with self._questions.naming(f"asking Kafka at {self._settings.bootstrap} for topics"):
            asked = self._client.describe_topics(
                TopicCollection(list(names)), request_timeout=self._timeout
            )
        for name, answer in asked.items():
            try:
                with self._questions.naming(f"describing topic {name!r}"):
                    topic = self._questions.answer(answer, self._timeout)
            except UnknownTopicError:
                continue
            topic_id = str(topic.topic_id)
            described[name] = _Described(
                None if topic_id == _NO_TOPIC_ID else topic_id,
                len(topic.partitions),
                min((len(partition.replicas) for partition in topic.partitions), default=0) or None,
                all(partition.leader is not None for partition in topic.partitions),
            )
        return described

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        with self._questions.naming(
            f"asking Kafka at {self._settings.bootstrap} for topic settings"
        ):
            asked = self._client.describe_configs(resources, request_timeout=self._timeout)
        configs: dict[str, dict[str, str]] = {}
        for resource, answer in asked.items():
            try:
                with self._questions.naming(f"asking for the settings of topic {resource.name!r}"):
                    entries = self._questions.answer(answer, self._timeout)
            except UnknownTopicError:
                continue  # deleted since it was described
            configs[resource.name] = {
                name: entry.value for name, entry in entries.items() if entry.value is not None
            }
        return configs

    def _is_ready(self, spec: TopicSpec) -> bool:
        described = self._described([spec.name]).get(spec.name)
        if (
            described is None
            or described.partitions != spec.partitions
            or not described.has_leaders
        ):
            return False
        return self._has_leading_brokers(spec)

    def _has_leading_brokers(self, spec: TopicSpec) -> bool:
        """Whether each leader knows that it leads: brokers are named before they learn of it."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # untyped in the client
        asked = self._client.list_offsets(
            {TopicPartition(spec.name, number): latest for number in range(spec.partitions)},
            request_timeout=self._timeout,
        )
        try:
            for answer in asked.values():
                answer.result(self._timeout)
        except KafkaException:
            return False
        return True

    def _until(self, is_met: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not is_met():
            if time.monotonic() >= deadline:
                raise BrokerUnavailableError(
                    f"{otherwise} after {self._timeout:g} s: look at the broker's log"
                )
            self._pause.wait(_POLL_INTERVAL)
