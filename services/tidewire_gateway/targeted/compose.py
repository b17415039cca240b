"""The real parts of targeted delivery: registry over HTTP, mailboxes in Redis, the inbox in Kafka."""

import time
from collections.abc import Callable

from tidewire.identity.internal_keys import InternalKeys, headers_of
from tidewire.kafka.ports import RecordReader
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.mailboxes_redis import RedisMailboxes
from tidewire.targeting.redis_urls import connect
from tidewire.targeting.registry_http import HttpRegistry

from ..settings import TargetedSettings
from .service import TargetedParts

__all__ = ["targeted_parts"]

_MARGIN = 1.0
"""Seconds beyond the time that routers remember: their clocks and ours."""


def targeted_parts(
    settings: TargetedSettings,
    internal_url: str,
    make_reader: Callable[[], RecordReader],
    keys: InternalKeys | None,
) -> TargetedParts:
    """Connects lazily; ``keys``: what the registry asks for. Raises ``ConfigError`` for a URL that cannot be used."""
    assert settings.registry_url is not None
    assert settings.redis_url is not None
    client = connect(settings.redis_url)
    registry = HttpRegistry(settings.registry_url, headers=headers_of(keys))

    async def close() -> None:
        await registry.close()
        await client.aclose()

    return TargetedParts(
        registry=registry,
        reader=make_reader(),
        mailboxes_of=lambda epoch: RedisMailboxes(
            client, epoch, MailboxLimits(), lambda: int(time.time() * 1000)
        ),
        address=settings.address or internal_url,
        targeted_topic=settings.topic,
        inbox_topic=settings.inbox_topic,
        epoch=settings.epoch,
        second_look=settings.lookup_ttl + _MARGIN,
        zone=settings.zone,
        close=close,
    )
