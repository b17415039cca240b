"""Events to Kafka: stays connected, publishes with a deadline."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tidewire.errors import TidewireError
from tidewire.kafka.errors import BrokerUnavailableError, KafkaError
from tidewire.kafka.records import RecordPosition
from tidewire.publishing import AsyncPublisher, Event, UserEvent
from tidewire.telemetry.logging import get_logger

from .core.answers import Outcome

__all__ = ["EventIngest"]

_log = get_logger("tidewire_publisher.ingest")
_FIRST_RETRY = 0.5
_LONGEST_RETRY = 5.0
_DISCONNECT_TIMEOUT = 1.0


class EventIngest:
    """Owns the publisher. Until Kafka answers for the first time, publishing is refused, not queued."""

    def __init__(
        self, publisher: AsyncPublisher, *, publish_timeout: float, close_timeout: float
    ) -> None:
        self._publisher = publisher
        self._publish_timeout = publish_timeout
        self._close_timeout = close_timeout
        self._is_connected = False
        self._connecting: asyncio.Task[None] | None = None

    def start(self, on_tried: Callable[[], None]) -> "asyncio.Task[None]":
        """Connect in a task, which tries again until a broker answers; ``on_tried``: the first attempt has ended."""
        self._connecting = asyncio.create_task(
            self._keep_connecting(on_tried), name="connect-kafka"
        )
        return self._connecting

    async def close(self) -> None:
        """Flush what was accepted, within the close timeout, and disconnect."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        closing = asyncio.create_task(self._publisher.close(), name="close-publisher")
        for patience in (self._close_timeout, _DISCONNECT_TIMEOUT, _DISCONNECT_TIMEOUT):
            await asyncio.wait({closing}, timeout=patience)
            if closing.done():
                break
            closing.cancel()  # the first one ends the flush, the second one the disconnecting
        _tell_end(closing)

    async def publish_all(self, stream: str, events: Sequence[Event]) -> tuple[Outcome, ...]:
        """Publish all, in order per key; answers per event, at the latest after the publish timeout."""
        self._check_connected()
        return await self._all([self._publisher.publish_event(stream, event) for event in events])

    async def publish_all_to_users(self, events: Sequence[UserEvent]) -> tuple[Outcome, ...]:
        """Like `publish_all`, in order per user."""
        self._check_connected()
        return await self._all([self._publisher.publish_user_event(event) for event in events])

    def _check_connected(self) -> None:
        if not self._is_connected:
            raise BrokerUnavailableError("Kafka has not answered yet; nothing was written")

    async def _all(
        self, calls: Sequence[Coroutine[Any, Any, RecordPosition]]
    ) -> tuple[Outcome, ...]:
        tasks = [asyncio.create_task(call) for call in calls]
        try:
            await asyncio.wait(tasks, timeout=self._publish_timeout)
        finally:
            for task in tasks:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return tuple(self._outcome(result) for result in results)

    def _outcome(self, result: object) -> Outcome:
        if isinstance(result, asyncio.CancelledError):
            return BrokerUnavailableError(
                f"Kafka did not acknowledge within {self._publish_timeout:g} s: the event may have "
                "been written or not"
            )
        if isinstance(result, BaseException) and not isinstance(result, TidewireError):
            raise result
        assert isinstance(result, tuple | TidewireError)
        return result  # type: ignore[return-value] # publish_event's answer, seen through gather

    async def _connect(self) -> bool:
        try:
            await self._publisher.start()
        except KafkaError as e:
            _log.warning("Kafka cannot be reached", reason=str(e))
            return False
        self._is_connected = True
        _log.info("connected to Kafka")
        return True

    async def _keep_connecting(self, on_tried: Callable[[], None]) -> None:
        is_connected, longest = await self._connect(), _FIRST_RETRY
        on_tried()
        while not is_connected:
            await asyncio.sleep(secrets.SystemRandom().uniform(0, longest))
            is_connected = await self._connect()
            longest = min(2 * longest, _LONGEST_RETRY)


def _tell_end(closing: asyncio.Task[None]) -> None:
    if not closing.done() or closing.cancelled():
        _log.error("closed before Kafka had acknowledged everything", reason="out of time")
    elif (error := closing.exception()) is None:
        _log.info("closed, everything acknowledged")
    elif isinstance(error, TidewireError):
        _log.error("closed before Kafka had acknowledged everything", reason=str(error))
    else:
        raise error
