"""The mailboxes in Redis, opened once it is known which topic they belong to."""

import contextlib
import time
from collections.abc import Awaitable, Callable

from tidewire.targeting.mailboxes import Mailboxes, MailboxLimits
from tidewire.targeting.mailboxes_redis import RedisMailboxes, claim_topic
from tidewire.targeting.redis_urls import connect

from .topic import TopicFacts

__all__ = ["mailboxes_at"]


def mailboxes_at(
    url: str, limits: MailboxLimits, *, replicas: int = 0
) -> Callable[[TopicFacts], Awaitable[Mailboxes]]:
    """What claims a topic and opens its mailboxes. Raises `ConfigError` for a URL that cannot be used.

    ``replicas`` must have a message before it counts as kept. The opener raises `StoreUnavailableError`, `PartitionsChangedError`.
    """
    connect(url)

    async def opened(facts: TopicFacts) -> Mailboxes:
        async with contextlib.AsyncExitStack() as held:
            client = connect(url)
            held.push_async_callback(client.aclose)
            await claim_topic(client, facts.epoch, facts.partitions)
            held.pop_all()
            return RedisMailboxes(client, facts.epoch, limits, _now_ms, replicas=replicas)

    return opened


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
