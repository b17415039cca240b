"""Asking for topics through aiokafka without creating them."""

import asyncio
from collections.abc import Iterable

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from .errors import BrokerUnavailableError

__all__ = ["partition_counts"]


async def partition_counts(
    client: AIOKafkaClient, topics: Iterable[str], *, within: float
) -> dict[str, int]:
    """How many partitions each topic has that exists; asked ``within`` seconds.

    aiokafka's own requests let a broker with `auto.create.topics.enable` make the topic. Raises
    `BrokerUnavailableError`.
    """
    request = MetadataRequest(sorted(topics), allow_auto_topic_creation=False)
    try:
        async with asyncio.timeout(within):
            answer = await client.send(client.get_random_node(), request)
    except (kafka.KafkaError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answers at {_addresses(client)}: is it up and the address right?"
        ) from error
    return {
        topic: len(partitions)
        for code, topic, _, partitions in answer.topics
        if code == kafka.NoError.errno and partitions
    }


def _addresses(client: AIOKafkaClient) -> str:
    return ", ".join(f"{host}:{port}" for host, port, _ in client.hosts)
