"""Publishing events from an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from opentelemetry.trace import Tracer

from ..config.streams import Stream
from ..kafka.ports import RecordWriter
from ..kafka.records import NewRecord, RecordPosition
from ..kafka.settings import KafkaSettings
from .errors import BufferFullError, PublisherClosedError
from .events import Destination, Event, EventLimits, build_record
from .origin import origin_of
from .routing import stream_named
from .sending import Sends
from .user_events import TARGETED_TOPIC, UserEvent, build_user_record, targeted

__all__ = ["AsyncPublisher"]

_DRAIN_TIMEOUT = 60.0  # beyond what one call may take by its own deadlines


class AsyncPublisher:
    """Publishes events and tells where each one stands once Kafka has it.

    At most ``max_in_flight`` events wait for their acknowledgement; a further `publish` waits for a
    place, at most ``place_timeout`` seconds. Calls started one after another for the same key keep their
    order, whether or not each is awaited before the next. Owns its writer: starts and closes it.

    Each call is a span, `send {topic}`, which ends when Kafka has answered. ``tracer`` None: OpenTelemetry's global one.
    """

    def __init__(
        self,
        writer: RecordWriter,
        streams: Mapping[str, Stream] | None = None,
        *,
        source: str = "tidewire",
        targeted_topic: str = TARGETED_TOPIC,
        limits: EventLimits | None = None,
        max_in_flight: int = 1000,
        place_timeout: float = 10.0,
        tracer: Tracer | None = None,
    ) -> None:
        self._writer = writer
        self._sends = Sends(tracer)
        self._streams = {} if streams is None else streams
        self._source = source
        self._targeted_topic = targeted_topic
        self._limits = limits or EventLimits()
        self._max_in_flight = max_in_flight
        self._place_timeout = place_timeout
        self._places = asyncio.Semaphore(max_in_flight)
        self._calls: set[asyncio.Future[None]] = set()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        bootstrap: str | KafkaSettings,
        streams: Mapping[str, Stream] | None = None,
        *,
        source: str = "tidewire",
        targeted_topic: str = TARGETED_TOPIC,
    ) -> AsyncIterator[Self]:
        """A publisher on a real broker, closed at the end of the block.

        Without streams it reaches users only.
        """
        from ..kafka.aiokafka_clients import AiokafkaWriter

        writer = AiokafkaWriter(KafkaSettings.at(bootstrap))
        async with cls(writer, streams, source=source, targeted_topic=targeted_topic) as publisher:
            yield publisher

    async def start(self) -> None:
        """Connect; raises `BrokerUnavailableError` when no broker answers."""
        await self._writer.start()

    async def publish(
        self,
        stream: str,
        key: str,
        data: object,
        *,
        headers: Mapping[str, str | bytes] | None = None,
        event_id: str | None = None,
        time: datetime | str | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordPosition:
        """Publish one event and return where it was written.

        ``data`` None deletes the key; bytes are taken as ready JSON. Raises `UnknownStreamError`,
        `InvalidEventError`, `BufferFullError`, `PublisherClosedError` (nothing was written) and the
        errors of `RecordWriter.write`.
        """
        event = Event(
            key=key,
            data=data,
            headers=headers or {},
            id=event_id,
            time=time,
            timestamp_ms=timestamp_ms,
        )
        return await self.publish_event(stream, event)

    async def publish_event(self, stream: str, event: Event) -> RecordPosition:
        """Like `publish`, for an event that has every attribute of its own."""
        self._check_open()
        rules = stream_named(self._streams, stream)
        with self._sends.begin(rules.topic, event.trace) as send:
            origin = origin_of(self._source, event.timestamp_ms, trace=send.trace)

            def build(partitions: int) -> NewRecord:
                to = Destination.of_stream(stream, rules, partitions)
                return send.carrying(build_record(event, to, origin, self._limits))

            return send.written(await self._publish(rules.topic, build))

    async def publish_to_user(
        self,
        user: str,
        data: object,
        *,
        ttl: float | timedelta | None = None,
        collapse_key: str | None = None,
        message_id: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> RecordPosition:
        """Tell one user, wherever it is connected; returns once the event is safe in Kafka.

        A user who is away gets it on return, within ``ttl`` seconds (0: now or never; None: as long as
        mailboxes keep events). Of those that wait with one ``collapse_key`` only the newest is delivered.
        ``message_id`` names the event to clients; None: a fresh one. ``data`` and errors are those of
        `publish`, but None is refused.
        """
        return await self.publish_user_event(
            UserEvent(user, data, ttl, collapse_key, message_id, headers or {})
        )

    async def publish_user_event(self, event: UserEvent) -> RecordPosition:
        """Like `publish_to_user`, for an event that brings its trace."""
        self._check_open()
        with self._sends.begin(self._targeted_topic, event.trace) as send:
            origin = origin_of(self._source, trace=send.trace)

            def build(partitions: int) -> NewRecord:
                to = targeted(self._targeted_topic, partitions)
                return send.carrying(build_user_record(event, to, origin, self._limits))

            return send.written(await self._publish(self._targeted_topic, build))

    async def flush(self) -> None:
        """Wait until every `publish` that has begun is acknowledged or refused."""
        await self._drain()
        await self._writer.flush()

    async def close(self) -> None:
        """Refuse further events, flush, disconnect; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._drain()
        finally:
            await self._writer.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosedError("the publisher is closed: make a new one")

    async def _publish(self, topic: str, build: Callable[[int], NewRecord]) -> RecordPosition:
        """Write what ``build`` makes for the topic's number of partitions."""
        ended = asyncio.get_running_loop().create_future()
        self._calls.add(ended)
        try:
            await self._take_place()
            try:
                return await self._writer.write(build(await self._writer.partitions_of(topic)))
            finally:
                self._places.release()
        finally:
            self._calls.discard(ended)
            ended.set_result(None)

    async def _drain(self) -> None:
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=_DRAIN_TIMEOUT)

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(self._place_timeout):
                await self._places.acquire()
        except TimeoutError:
            raise BufferFullError(
                f"{self._max_in_flight} events wait for their acknowledgement since "
                f"{self._place_timeout:g} s: publish more slowly, or look at the broker"
            ) from None
