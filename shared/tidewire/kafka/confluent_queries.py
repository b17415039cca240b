"""Questions about topics and offsets, asked through librdkafka's admin client from an event loop."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka as ck
from confluent_kafka import TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stubs re-export none of these
    OffsetSpec,
)

from .confluent_errors import translated
from .confluent_questions import Questions
from .errors import BrokerUnavailableError, KafkaError, UnknownTopicError
from .records import Bounds, TopicPartition
from .settings import KafkaSettings

__all__ = ["TopicQueries"]


_EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # untyped in the client
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call] # untyped in the client


class TopicQueries:
    """Asks on a connection of its own, so that no answer waits behind a long poll."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._questions = Questions(settings)
        self._client = self._questions.client

    async def check_reachable(self) -> None:
        seconds = self._settings.connect_timeout
        try:
            with self._questions.naming(f"connecting to Kafka at {self._settings.bootstrap}"):
                asked = self._client.describe_cluster(request_timeout=seconds)
                await self._questions.answered(asked, seconds)
        except BrokerUnavailableError:
            raise
        except KafkaError as error:
            raise BrokerUnavailableError(str(error)) from error

    async def check_exist(
        self, partitions: Iterable[TopicPartition], *, within: float | None = None
    ) -> None:
        """Describe the topics, which creates none; raises `UnknownTopicError`."""
        asked = set(partitions)
        if not asked:
            return
        seconds = within or self._settings.request_timeout
        counts = await self._partition_counts({tp.topic for tp in asked}, seconds)
        for tp in sorted(asked):
            if tp.partition >= counts[tp.topic]:
                raise UnknownTopicError(
                    f"topic {tp.topic!r} has no partition {tp.partition}: it has {counts[tp.topic]}",
                    topic=tp.topic,
                )

    async def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        await self.check_exist(partitions)
        starts, ends = await asyncio.gather(
            self._offsets(dict.fromkeys(partitions, _EARLIEST)),
            self._offsets(dict.fromkeys(partitions, _LATEST)),
        )
        return {tp: Bounds(start, max(start, ends[tp])) for tp, start in starts.items()}

    async def offsets_at(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        await self.check_exist(times)
        ends = await self._offsets(dict.fromkeys(times, _LATEST))
        found = await self._offsets({tp: OffsetSpec.for_timestamp(at) for tp, at in times.items()})
        return {tp: min(found[tp], end) if found[tp] >= 0 else end for tp, end in ends.items()}

    async def _partition_counts(self, topics: Iterable[str], seconds: float) -> dict[str, int]:
        counts: dict[str, int] = {}
        with self._questions.naming(f"asking Kafka at {self._settings.bootstrap} for topics"):
            asked = self._client.describe_topics(
                TopicCollection(list(topics)), request_timeout=seconds
            )
            for name, answer in asked.items():
                with translated(f"looking for topic {name!r}", topic=name):
                    found = await self._questions.answered(answer, seconds)
                    counts[name] = len(found.partitions)
        return counts

    async def _offsets(self, specs: Mapping[TopicPartition, Any]) -> dict[TopicPartition, int]:
        seconds = self._settings.request_timeout
        offsets: dict[TopicPartition, int] = {}
        with self._questions.naming(f"asking Kafka at {self._settings.bootstrap} for offsets"):
            asked = self._client.list_offsets(
                {ck.TopicPartition(*tp): spec for tp, spec in specs.items()},
                isolation_level=ck.IsolationLevel.READ_COMMITTED,
                request_timeout=seconds,
            )
            for where, answer in asked.items():
                found = await self._questions.answered(answer, seconds)
                offsets[TopicPartition(where.topic, where.partition)] = found.offset
        return offsets
