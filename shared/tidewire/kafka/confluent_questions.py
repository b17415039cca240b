"""librdkafka's admin client, asked in a thread or in an event loop, that says when no broker lets it in."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka.admin import AdminClient

from .confluent_refusals import Refusals
from .log_noise import LIBRDKAFKA_LOGGER, calm_client_logs
from .settings import KafkaSettings

__all__ = ["Questions"]

T = TypeVar("T")

_LISTEN_INTERVAL = 0.1
_CRITICAL = 2
"""Of syslog's levels. Lost connections are below it: who asked is told, and it would be said twice."""
_MARGIN = 1.0
"""librdkafka ends a request itself; this only guards against its never doing so."""


class Questions:
    """``client`` makes futures; `answer` and `answered` wait for one, inside `naming`."""

    def __init__(self, settings: KafkaSettings) -> None:
        calm_client_logs()
        self._refusals = Refusals(settings.bootstrap)
        self.client = AdminClient(
            settings.librdkafka_common() | {"log_level": _CRITICAL, **self._refusals.properties},
            logger=logging.getLogger(LIBRDKAFKA_LOGGER),
        )

    @contextmanager
    def naming(self, what: str, *, topic: str | None = None) -> Iterator[None]:
        """Let no error of librdkafka, and no expired deadline, out of the block as it is; ``what`` says what was tried."""
        self.client.poll(0)
        self._refusals.forget()
        with self._refusals.named(what, topic=topic):
            yield

    def listen(self) -> None:
        """Hear what has become of connections; raises where no broker lets us in."""
        self.client.poll(0)
        self._refusals.check()

    def answer(self, asked: "Future[T]", seconds: float) -> T:
        """For threads."""
        left = seconds + _MARGIN
        while not asked.done() and left > 0:
            wait([asked], min(_LISTEN_INTERVAL, left))
            left -= _LISTEN_INTERVAL
            if not asked.done():
                self.listen()
        answer = asked.result(0)
        self._refusals.answered()
        return answer

    async def answered(self, asked: "Future[T]", seconds: float) -> T:
        """For event loops."""
        answer = asyncio.wrap_future(asked)
        try:
            async with asyncio.timeout(seconds + _MARGIN):
                while not answer.done():
                    await asyncio.wait([answer], timeout=_LISTEN_INTERVAL)
                    if not answer.done():
                        self.listen()
            found = await answer
            self._refusals.answered()
            return found
        finally:
            answer.cancel()
