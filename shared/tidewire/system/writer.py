"""Write to the system's own topics, at no risk: what Kafka does not take is lost, counted, and told once."""

import asyncio
from typing import Final

from ..kafka.errors import KafkaError, UnknownTopicError
from ..kafka.ports import RecordWriter
from ..kafka.records import NewRecord
from ..telemetry.logging import get_logger
from ..telemetry.tallies import Tally
from .ending import end_task

__all__ = ["ASK_AGAIN_AFTER", "SystemWriter"]

ASK_AGAIN_AFTER: Final = 10.0
"""Seconds from when a topic was missing until the broker is asked for it again."""
_PATIENCE: Final = 5.0
_CLOSE_TIMEOUT: Final = 0.25
_FAREWELL_TIMEOUT: Final = 0.25

_log = get_logger(__name__)


class SystemWriter:
    """Owns ``writer``: connects with the first record, and closes it. ``lost`` counts records that were not taken.

    ``patience``: seconds that a record may take.
    """

    def __init__(
        self, writer: RecordWriter, lost: Tally | None = None, *, patience: float = _PATIENCE
    ) -> None:
        self._lost = Tally("lost", "Records that were not taken") if lost is None else lost
        self._patience = patience
        self._writer = writer
        self._is_started = False
        self._preparing = asyncio.Lock()
        self._found: set[str] = set()
        self._ask_again_at: dict[str, float] = {}
        self._is_missing_told: dict[str, bool] = {}
        """Of topics that are not written just now: whether it was told that they are missing, or that nobody answers."""

    @property
    def lost(self) -> int:
        return self._lost.value

    async def write(self, topic: str, key: str, value: bytes) -> bool:
        """Write to the topic's one partition; whether it was acknowledged. Raises nothing."""
        try:
            async with asyncio.timeout(self._patience):
                await self._prepare(topic)
                await self._writer.write(NewRecord(topic, 0, key.encode(), value))
        except (KafkaError, TimeoutError) as error:
            self._failed(topic, error)
            return False
        if self._is_missing_told.pop(topic, None) is not None:
            _log.info("the console's topic is written again", topic=topic, lost=self.lost)
        return True

    async def close(self) -> None:
        """Let go of the connection within half a second; a record that is being written is given up."""
        closing = asyncio.create_task(self._writer.abandon(), name="close the console's writer")
        await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT)
        if await end_task(closing, _FAREWELL_TIMEOUT) and not closing.cancelled():
            error = closing.exception()
            if error is not None and not isinstance(error, KafkaError):
                raise error

    async def _prepare(self, topic: str) -> None:
        """Connect, and see that the topic is there: one at a time, so that one that is missing is asked for once."""
        async with self._preparing:
            if not self._is_started:
                await self._writer.start()
                self._is_started = True
            if topic not in self._found:
                await self._find(topic)

    async def _find(self, topic: str) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._ask_again_at.get(topic, now):
            raise UnknownTopicError(f"topic {topic!r} was missing a moment ago", topic=topic)
        try:
            await self._writer.partitions_of(topic)
        except UnknownTopicError:
            self._ask_again_at[topic] = now + ASK_AGAIN_AFTER
            raise
        self._found.add(topic)

    def _failed(self, topic: str, error: Exception) -> None:
        self._lost.inc()
        is_missing = isinstance(error, UnknownTopicError)
        if is_missing:
            self._found.discard(topic)
        if self._is_missing_told.get(topic) is is_missing:
            return
        self._is_missing_told[topic] = is_missing
        if is_missing:
            _log.warning(
                "a topic of the console is missing: make it with `tidewire topics apply --console`",
                topic=topic,
            )
        else:
            why = str(error) or f"no acknowledgement within {self._patience:g} s"
            _log.warning("the console's topic cannot be written", topic=topic, why=why)
