"""Write to the system's own topics, at no risk: what Kafka does not take is lost, counted, and told once."""

import asyncio
from typing import Final

from ..kafka.errors import KafkaError
from ..kafka.ports import RecordWriter
from ..kafka.records import NewRecord
from ..telemetry.logging import get_logger
from .ending import end_task

__all__ = ["SystemWriter"]

_PATIENCE: Final = 5.0
_CLOSE_TIMEOUT: Final = 0.5

_log = get_logger(__name__)


class SystemWriter:
    """Owns ``writer``: connects with the first record, and closes it. ``lost`` counts records that were not taken.

    ``patience``: seconds that a record may take.
    """

    def __init__(self, writer: RecordWriter, *, patience: float = _PATIENCE) -> None:
        self.lost = 0
        self._patience = patience
        self._writer = writer
        self._is_started = False
        self._starting = asyncio.Lock()
        self._is_away = False

    async def write(self, topic: str, key: str, value: bytes) -> bool:
        """Write to the topic's one partition; whether it was acknowledged. Raises nothing."""
        try:
            async with asyncio.timeout(self._patience):
                await self._start()
                await self._writer.write(NewRecord(topic, 0, key.encode(), value))
        except (KafkaError, TimeoutError) as error:
            self._failed(topic, str(error) or f"no acknowledgement within {self._patience:g} s")
            return False
        if self._is_away:
            self._is_away = False
            _log.info("the console's topics are written again", lost=self.lost)
        return True

    async def close(self) -> None:
        """Let go of the connection, within two seconds."""
        closing = asyncio.create_task(self._writer.close(), name="close the console's writer")
        await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT)
        if await end_task(closing) and not closing.cancelled():
            error = closing.exception()
            if error is not None and not isinstance(error, KafkaError):
                raise error

    async def _start(self) -> None:
        async with self._starting:
            if not self._is_started:
                await self._writer.start()
                self._is_started = True

    def _failed(self, topic: str, why: str) -> None:
        self.lost += 1
        if not self._is_away:
            self._is_away = True
            _log.warning("the console's topics cannot be written", topic=topic, why=why)
