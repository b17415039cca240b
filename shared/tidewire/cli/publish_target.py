"""Whom `tidewire publish` writes to: a stream, or one user."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from ..ingest.documents import parse_event
from ..ingest.user_events import parse_user_event
from ..kafka.records import RecordPosition
from ..publishing import AsyncPublisher, Event, UserEvent
from ..publishing.origin import origin_of
from ..publishing.routing import stream_named
from ..publishing.user_events import build_user_record, targeted
from .connection import connection, kafka_settings
from .jsonl import PublishLines

__all__ = ["Delivery", "Target", "stream_target", "user_target"]

SOURCE = "tidewire-cli"
E = TypeVar("E", Event, UserEvent)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What holds for each event to a user that says nothing else; ``ttl`` in seconds."""

    ttl: float | None
    collapse_key: str | None


@dataclass(frozen=True, slots=True)
class Target(Generic[E]):
    """``name`` as people are told; ``parse`` reads one JSON line."""

    name: str
    parse: Callable[[bytes], E]
    publish: Callable[[AsyncPublisher, E], Awaitable[RecordPosition]]
    connect: Callable[[], AbstractAsyncContextManager[AsyncPublisher]]

    async def publish_one(self, event: E) -> RecordPosition:
        async with self.connect() as publisher:
            return await self.publish(publisher, event)

    async def publish_lines(self, lines: PublishLines[E]) -> None:
        async with self.connect() as publisher:
            await lines.run(lambda event: self.publish(publisher, event))


def stream_target(
    stream: str, kafka: str | None, streams: Path | None, data_dir: Path
) -> Target[Event]:
    """Raises ``UnknownStreamError``, and like ``connection``."""
    to = connection(kafka, streams, data_dir)
    stream_named(to.streams, stream)
    return Target(
        stream,
        parse_event,
        lambda publisher, event: publisher.publish_event(stream, event),
        lambda: AsyncPublisher.connect(to.kafka, to.streams, source=SOURCE),
    )


def user_target(
    user: str, delivery: Delivery, topic: str, kafka: str | None, data_dir: Path
) -> Target[UserEvent]:
    """Needs no streams; raises ``InvalidEventError`` for what no event could go with, and like ``connection``."""
    probe = UserEvent(user, b"0", delivery.ttl, delivery.collapse_key)
    build_user_record(probe, targeted(topic, 1), origin_of(SOURCE))
    settings = kafka_settings(kafka, data_dir)

    def parse(line: bytes) -> UserEvent:
        event = parse_user_event(line, user)
        return replace(
            event,
            ttl=delivery.ttl if event.ttl is None else event.ttl,
            collapse_key=delivery.collapse_key
            if event.collapse_key is None
            else event.collapse_key,
        )

    return Target(
        f"user {user}",
        parse,
        lambda publisher, event: publisher.publish_user_event(event),
        lambda: AsyncPublisher.connect(settings, source=SOURCE, targeted_topic=topic),
    )
