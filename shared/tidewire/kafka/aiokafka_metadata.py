"""Asking for topics through aiokafka without creating them."""

import asyncio
from collections.abc import Iterable

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from .errors import BrokerUnavailableError
from .settings import KafkaSettings

__all__ = ["partition_counts"]


async def partition_counts(
    client: AIOKafkaClient, settings: KafkaSettings, topics: Iterable[str]
) -> dict[str, int]:
    """How many partitions each topic has that exists.

    aiokafka's own requests let a broker with `auto.create.topics.enable` make the topic. Raises
    `BrokerUnavailableError`.
    """
    request = MetadataRequest(sorted(topics), allow_auto_topic_creation=False)
    try:
        async with asyncio.timeout(settings.request_timeout):
            answer = await client.send(client.get_random_node(), request)
    except (kafka.KafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {settings.bootstrap}: is it up and the address right?"
        ) from error
    return {
        topic: len(partitions)
        for code, topic, _, partitions in answer.topics
        if code == kafka.NoError.errno and partitions
    }
