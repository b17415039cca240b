"""Keeps what the Kafka clients log readable while a broker is away, and free of what they send."""

import logging
import time
from collections.abc import Callable

__all__ = ["LIBRDKAFKA_LOGGER", "calm_client_logs"]

LIBRDKAFKA_LOGGER = "tidewire.kafka.librdkafka"
_AIOKAFKA_LOGGERS = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)
_REPEAT_INTERVAL = 30.0


class RepeatFilter(logging.Filter):
    """Lets one message of each kind through per interval, and never a traceback.

    A kind is the constant text of the message up to its first value. Nothing below INFO passes: aiokafka tells each
    request there, with the records in it, and the password.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._silent_until_by_kind: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return False
        record.exc_info = None
        record.exc_text = None
        kind = str(record.msg).partition("%")[0][:80] if record.args else _shape(str(record.msg))
        now = self._now()
        if now < self._silent_until_by_kind.get(kind, 0.0):
            return False
        if len(self._silent_until_by_kind) >= 256:
            self._silent_until_by_kind.clear()
        self._silent_until_by_kind[kind] = now + _REPEAT_INTERVAL
        return True


def calm_client_logs() -> None:
    """Filter the clients' loggers; done once for a process, however often it is called."""
    for name in (*_AIOKAFKA_LOGGERS, LIBRDKAFKA_LOGGER):
        logger = logging.getLogger(name)
        if not any(isinstance(installed, RepeatFilter) for installed in logger.filters):
            logger.addFilter(RepeatFilter())


def _shape(text: str) -> str:
    """A message that carries its values already, without the digits that differ each time."""
    return "".join(character for character in text if not character.isdigit())[:80]
