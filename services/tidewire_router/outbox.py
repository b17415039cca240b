"""Writes that are not given up: to inboxes in order, and to the dead letter topic."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tidewire.errors import TidewireError
from tidewire.kafka.errors import KafkaError, RecordTooLargeError
from tidewire.kafka.ports import RecordWriter
from tidewire.kafka.records import NewRecord
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.telemetry.logging import get_logger

from .backoff import Backoff
from .core.dead_letters import without_value
from .core.inbox import from_first_failures
from .core.trace_ids import trace_id_of
from .instruments import Failure, Instruments

__all__ = ["AbandonedError", "Attempts", "Outbox"]

T = TypeVar("T")

_log = get_logger(__name__)


class AbandonedError(Exception):
    """The partition is somebody else's from now on, who begins with what is not committed."""


class Attempts:
    """Does things until they succeed, or until ``is_over``. Waits in between, longer each time."""

    def __init__(self, is_over: Callable[[], bool], instruments: Instruments) -> None:
        self._is_over = is_over
        self._instruments = instruments
        self._backoff = Backoff()

    async def store(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the store answers, at last."""
        while True:
            try:
                answer = await ask()
            except StoreUnavailableError as error:
                await self.failed(Failure.STORE, error)
            else:
                self._backoff.reset()
                return answer

    async def failed(self, failure: Failure, error: TidewireError, **about: str) -> None:
        """Count, tell (with ``about``) and pause. Raises `AbandonedError` where nobody wants it done any more."""
        self._instruments.failed(failure)
        _log.warning("failed, and is tried again", of=failure.value, reason=str(error), **about)
        if self._is_over():
            raise AbandonedError
        await self._backoff.pause()

    def succeeded(self) -> None:
        self._backoff.reset()


class Outbox:
    def __init__(self, writer: RecordWriter, instruments: Instruments) -> None:
        self._writer = writer
        self._instruments = instruments

    async def write(
        self,
        records: Sequence[NewRecord],
        attempts: Attempts,
        on_left_out: Callable[[NewRecord, KafkaError], None] = lambda _record, _error: None,
    ) -> None:
        """Return when all are acknowledged; each partition's order holds, and some may come twice.

        One that is too large for its topic is told, ``on_left_out`` too, and left out: a mailbox has it, unless it is now or never.
        """
        left = records
        while left:
            failures = await self._failures(left)
            refused = [i for i, e in failures.items() if isinstance(e, RecordTooLargeError)]
            for index in refused:
                record, why = left[index], failures.pop(index)
                self._instruments.failed(Failure.TOO_LARGE)
                _log.error("left out of an inbox", reason=str(why), **trace_id_of([record]))
                on_left_out(record, why)
            self._instruments.inbox_records.inc(len(left) - len(failures) - len(refused))
            error = next(iter(failures.values()), None)
            trace = trace_id_of(left[index] for index in failures)
            left = [
                record
                for record in from_first_failures(left, failures.keys())
                if all(record is not left[index] for index in refused)
            ]
            if error is not None:
                await attempts.failed(Failure.KAFKA, error, **trace)
        attempts.succeeded()

    async def bury(self, records: Sequence[NewRecord], attempts: Attempts) -> None:
        """Write dead letters; one that is too large goes without its value."""
        left = records
        while left:
            failures = await self._failures(left)
            too_large = [e for e in failures.values() if isinstance(e, RecordTooLargeError)]
            others = [e for e in failures.values() if not isinstance(e, RecordTooLargeError)]
            left = [
                without_value(left[i]) if isinstance(error, RecordTooLargeError) else left[i]
                for i, error in sorted(failures.items())
            ]
            if too_large:
                self._instruments.failed(Failure.TOO_LARGE)
            if others:
                await attempts.failed(Failure.KAFKA, others[0])
        attempts.succeeded()

    async def _failures(self, records: Sequence[NewRecord]) -> dict[int, KafkaError]:
        """Write all at once; what failed, by index."""
        results = await asyncio.gather(
            *(self._writer.write(record) for record in records), return_exceptions=True
        )
        failures: dict[int, KafkaError] = {}
        for index, result in enumerate(results):
            if isinstance(result, KafkaError):
                failures[index] = result
            elif isinstance(result, BaseException):
                raise result
        return failures
