"""Mailboxes to test, the time they live in, and messages to put into them."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tidewire.targeting.mailboxes import Mailboxes, MailboxLimits
from tidewire.targeting.mailboxes_memory import MemoryMailboxes
from tidewire.targeting.mailboxes_redis import RedisMailboxes
from tidewire.targeting.messages import Letter, Message
from tidewire.targeting.redis_urls import connect

__all__ = ["BEGIN_MS", "Clock", "OpenMailboxes", "letter", "message", "opened", "opener"]

BEGIN_MS = 1_700_000_000_000
TTL_MS = 60_000

OpenMailboxes = Callable[..., Mailboxes]
"""Called with ``length`` and ``ttl_ms``; what it opens twice is the same mailboxes."""


@dataclass
class Clock:
    ms: int = BEGIN_MS

    def __call__(self) -> int:
        return self.ms


def opener(url: str | None, clock: Clock) -> OpenMailboxes:
    """Opens mailboxes of an epoch that no other test uses: in the Redis at ``url``, or in memory."""
    epoch = secrets.token_hex(8)
    made: list[Mailboxes] = []

    def open_mailboxes(length: int = 1000, ttl_ms: int = TTL_MS) -> Mailboxes:
        limits = MailboxLimits(length, ttl_ms)
        if url is not None:
            return RedisMailboxes(connect(url), epoch, limits, clock)
        if not made:
            made.append(MemoryMailboxes(limits, clock))
        return made[0]

    return open_mailboxes


@asynccontextmanager
async def opened(url: str, *, replicas: int = 0) -> AsyncIterator[RedisMailboxes]:
    """Mailboxes of a fixed epoch in the Redis at ``url``."""
    limits = MailboxLimits(ttl_ms=TTL_MS)
    mailboxes = RedisMailboxes(connect(url), "epoch", limits, Clock(), replicas=replicas)
    try:
        yield mailboxes
    finally:
        await mailboxes.close()


def message(offset: int, user: str = "ada", **fields: Any) -> Message:
    """As it was published at `BEGIN_MS`, unless ``fields`` say otherwise."""
    given: dict[str, Any] = {
        "id": f"m-{offset}",
        "data": b'{"n":%d}' % offset,
        "ts_ms": BEGIN_MS,
        "ttl_ms": None,
        "collapse_key": None,
        "partition": 3,
    }
    return Message(user=user, offset=offset, **(given | fields))


def letter(source: Message, prev: int | None, ttl_ms: int = TTL_MS) -> Letter:
    """What a mailbox makes of a message that it keeps."""
    return Letter(
        user=source.user,
        id=source.id,
        data=source.data,
        ts_ms=source.ts_ms,
        expires_at_ms=source.expires_at_ms(ttl_ms),
        partition=source.partition,
        offset=source.offset,
        prev=prev,
        collapse_key=source.collapse_key,
        traceparent=source.traceparent,
    )
