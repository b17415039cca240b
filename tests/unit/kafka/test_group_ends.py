"""How a consumer of a group is let go, whatever state aiokafka is in."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from tidewire.kafka.aiokafka_group import AiokafkaGroupReader
from tidewire.kafka.groups import GroupMembership
from tidewire.kafka.settings import KafkaSettings


class Client:
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class Consumer:
    """As much of aiokafka's as its end needs."""

    _coordinator = None

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self._client = Client()
        self.stop = stop


async def is_cancelled() -> None:
    """As where one of its tasks is ended amid its work."""
    raise asyncio.CancelledError


async def finds_no_broker() -> None:
    raise KafkaConnectionError("closed")


async def never_ends() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [is_cancelled, finds_no_broker, never_ends])
async def test_consumer_that_cannot_end_is_let_go_all_the_same(
    stop: Callable[[], Awaitable[None]],
) -> None:
    settings = KafkaSettings(bootstrap="127.0.0.1:1", request_timeout=0.05)
    reader = AiokafkaGroupReader(settings, "topic", GroupMembership("group"))
    consumer: Any = Consumer(stop)
    await reader._stop(consumer)
    assert consumer._client.is_closed
