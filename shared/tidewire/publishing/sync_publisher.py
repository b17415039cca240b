"""Publishing events from a thread."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from opentelemetry.trace import Tracer

from ..config.streams import Stream
from ..kafka.errors import BrokerUnavailableError
from ..kafka.ports import SyncRecordWriter
from ..kafka.settings import KafkaSettings
from .errors import PublisherClosedError
from .events import Destination, Event, EventLimits, build_record
from .origin import origin_of
from .routing import stream_named
from .sending import Sends
from .user_events import TARGETED_TOPIC, UserEvent, build_user_record, targeted

__all__ = ["Publisher"]

_FLUSH_TIMEOUT = 30.0


class Publisher:
    """Publishes events through a bounded buffer; they are safe once `flush` or `close` returns.

    Events of one key keep the order of their calls. Owns its writer: closes it.

    Each call is a span, `send {topic}`, which ends when the event is queued: what becomes of it then is no more
    known of each. ``tracer`` None: OpenTelemetry's global one.
    """

    def __init__(
        self,
        writer: SyncRecordWriter,
        streams: Mapping[str, Stream] | None = None,
        *,
        source: str = "tidewire",
        targeted_topic: str = TARGETED_TOPIC,
        limits: EventLimits | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._writer = writer
        self._sends = Sends(tracer)
        self._streams = {} if streams is None else streams
        self._source = source
        self._targeted_topic = targeted_topic
        self._limits = limits or EventLimits()
        self._closed = False

    @classmethod
    @contextmanager
    def connect(
        cls,
        bootstrap: str | KafkaSettings,
        streams: Mapping[str, Stream] | None = None,
        *,
        source: str = "tidewire",
        targeted_topic: str = TARGETED_TOPIC,
    ) -> Iterator[Self]:
        """A publisher on a real broker, closed (and so flushed) at the end of the block.

        Without streams it reaches users only.
        """
        from ..kafka.confluent_clients import ConfluentWriter

        writer = ConfluentWriter(KafkaSettings.at(bootstrap))
        with cls(writer, streams, source=source, targeted_topic=targeted_topic) as publisher:
            yield publisher

    def publish(
        self,
        stream: str,
        key: str,
        data: object,
        *,
        headers: Mapping[str, str | bytes] | None = None,
        event_id: str | None = None,
        time: datetime | str | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one event.

        ``data`` None deletes the key; bytes are taken as ready JSON. Raises `UnknownStreamError`,
        `InvalidEventError`, `BufferFullError` (flush, then try again), `PublisherClosedError`: nothing
        was queued; and the errors of `SyncRecordWriter.offer`.
        """
        event = Event(
            key=key,
            data=data,
            headers=headers or {},
            id=event_id,
            time=time,
            timestamp_ms=timestamp_ms,
        )
        self.publish_event(stream, event)

    def publish_event(self, stream: str, event: Event) -> None:
        """Like `publish`, for an event that has every attribute of its own."""
        self._check_open()
        rules = stream_named(self._streams, stream)
        with self._sends.begin(rules.topic, event.trace) as send:
            to = Destination.of_stream(stream, rules, self._writer.partitions_of(rules.topic))
            origin = origin_of(self._source, event.timestamp_ms, trace=send.trace)
            self._writer.offer(send.carrying(build_record(event, to, origin, self._limits)))

    def publish_to_user(
        self,
        user: str,
        data: object,
        *,
        ttl: float | timedelta | None = None,
        collapse_key: str | None = None,
        message_id: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> None:
        """Queue one event for one user, wherever it is connected.

        A user who is away gets it on return, within ``ttl`` seconds (0: now or never; None: as long as
        mailboxes keep events). Of those that wait with one ``collapse_key`` only the newest is delivered.
        ``message_id`` names the event to clients; None: a fresh one. ``data`` and errors are those of
        `publish`, but None is refused.
        """
        self.publish_user_event(UserEvent(user, data, ttl, collapse_key, message_id, headers or {}))

    def publish_user_event(self, event: UserEvent) -> None:
        """Like `publish_to_user`, for an event that brings its trace."""
        self._check_open()
        topic = self._targeted_topic
        with self._sends.begin(topic, event.trace) as send:
            to = targeted(topic, self._writer.partitions_of(topic))
            origin = origin_of(self._source, trace=send.trace)
            self._writer.offer(send.carrying(build_user_record(event, to, origin, self._limits)))

    def flush(self, timeout: float = _FLUSH_TIMEOUT) -> None:
        """Wait until everything queued is acknowledged.

        Raises the first delivery failure, `BrokerUnavailableError` when ``timeout`` seconds were not
        enough; what is not acknowledged then stays queued.
        """
        if left := self._writer.flush(timeout):
            raise BrokerUnavailableError(
                f"{left} events are not acknowledged after {timeout:g} s: look at the broker"
            )

    def close(self, timeout: float = _FLUSH_TIMEOUT) -> None:
        """Refuse further events, flush, disconnect; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._writer.close(timeout)

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosedError("the publisher is closed: make a new one")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
