"""Publishing events from a thread."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from ..config.streams import Stream
from ..kafka.errors import BrokerUnavailableError
from ..kafka.ports import SyncRecordWriter
from ..kafka.settings import KafkaSettings
from .errors import PublisherClosedError
from .events import Destination, Event, EventLimits, build_record
from .origin import origin_of
from .routing import stream_named

__all__ = ["Publisher"]

_FLUSH_TIMEOUT = 30.0


class Publisher:
    """Publishes events through a bounded buffer; they are safe once `flush` or `close` returns.

    Events of one key keep the order of their calls. Owns its writer: closes it.
    """

    def __init__(
        self,
        writer: SyncRecordWriter,
        streams: Mapping[str, Stream],
        *,
        source: str = "tidewire",
        limits: EventLimits | None = None,
    ) -> None:
        self._writer = writer
        self._streams = streams
        self._source = source
        self._limits = limits or EventLimits()
        self._closed = False

    @classmethod
    @contextmanager
    def connect(
        cls,
        bootstrap: str | KafkaSettings,
        streams: Mapping[str, Stream],
        *,
        source: str = "tidewire",
    ) -> Iterator[Self]:
        """A publisher on a real broker, closed (and so flushed) at the end of the block."""
        from ..kafka.confluent_clients import ConfluentWriter

        with cls(ConfluentWriter(KafkaSettings.at(bootstrap)), streams, source=source) as publisher:
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
        if self._closed:
            raise PublisherClosedError("the publisher is closed: make a new one")
        rules = stream_named(self._streams, stream)
        to = Destination(stream, rules, self._writer.partitions_of(rules.topic))
        origin = origin_of(event, self._source)
        self._writer.offer(build_record(event, to, origin, self._limits))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
