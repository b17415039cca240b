"""Follow the topic of revocations: read from its beginning at the start, then as they come."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable

from ..identity.claims import Identity
from ..kafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicError
from ..kafka.ports import RecordReader
from ..kafka.records import Fetched, Record, TopicPartition
from ..telemetry.logging import get_logger
from ..telemetry.metrics import Metrics
from .errors import BadRevocationError, RevocationsUnknownError, RevokedTokenError
from .records import PARTITION, revocation_of, subject_of
from .revocations import Revocations

__all__ = ["RevocationReader"]

_MAX_RECORDS = 1000
_MAX_WAIT = 0.5
_EXPIRE_INTERVAL = 60.0
_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0
_PATIENCE = 5.0
"""Seconds that a start waits to know what is revoked: then it is somebody else who is late, and no token is judged."""

_log = get_logger(__name__)


def _nothing() -> None:
    return


class RevocationReader:
    """What is revoked, as far as the topic was read. `run` reads on; it alone talks to ``reader``, and closes it.

    Nothing is known, and no token accepted, until the topic was read to its end once. One that does not exist revokes nothing;
    it is looked for every ``poll_interval`` seconds. Where the topic has to be read anew, what was revoked stays so
    meanwhile; so it does while no broker answers. ``on_revoked`` is called when more is revoked than before.
    """

    def __init__(
        self,
        reader: RecordReader,
        topic: str,
        *,
        poll_interval: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.on_revoked: Callable[[], None] = _nothing
        self._reader = reader
        self._partition = TopicPartition(topic, PARTITION)
        self._poll_interval = poll_interval
        self._clock = clock
        self._held = metrics.gauge("revocations")
        self._records = metrics.counters("revocation_records_total", "outcome")
        self._revocations = Revocations()
        self._draft: Revocations | None = None
        self._end = 0
        self._known = asyncio.Event()
        self._is_started = False
        self._is_assigned = False
        self._is_missing = False
        self._failures = 0
        self._expired_at = clock()

    async def known(self) -> None:
        """Wait until the topic was read to its end once, or turned out not to be there; for a few seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._known.wait()

    def check(self, identity: Identity) -> None:
        """Raises `RevokedTokenError`, and `RevocationsUnknownError` before anything is known."""
        if not self._known.is_set():
            raise RevocationsUnknownError("it is not known yet which tokens are revoked; try again")
        if self._revocations.is_revoked(identity):
            raise RevokedTokenError("the token was revoked")

    def is_revoked(self, identity: Identity) -> bool:
        return self._revocations.is_revoked(identity)

    @contextlib.asynccontextmanager
    async def followed(self) -> "AsyncIterator[asyncio.Task[None]]":
        """Read as long as the block lasts, in a task that the block is given: it ends by itself only where it fails."""
        reading = asyncio.create_task(self.run(), name="read-revocations")
        try:
            yield reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def run(self) -> None:
        """Read until cancelled; a broker that is away is waited for, with back-off."""
        try:
            while True:
                self._expire()
                try:
                    await self._turn()
                except UnknownTopicError as error:
                    await self._await_topic(error)
                except OffsetOutOfRangeError as error:
                    self._is_assigned = False
                    await self._pause(error)
                except KafkaError as error:
                    await self._pause(error)
        finally:
            await self._reader.close()

    async def _turn(self) -> None:
        if not self._is_started:
            await self._reader.start()
            self._is_started = True
        if not self._is_assigned:
            await self._begin()
        self._take(await self._reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT))
        self._failures = 0

    async def _begin(self) -> None:
        """From the first record on, and into a draft: what was lifted may have left no trace."""
        await self._reader.assign({})
        bounds = (await self._reader.bounds([self._partition]))[self._partition]
        await self._reader.assign({self._partition: bounds.start})
        self._is_assigned = True
        self._is_missing = False
        self._draft = Revocations()
        self._end = bounds.end
        self._reached(bounds.start)

    def _take(self, fetched: Fetched) -> None:
        revocations = self._revocations if self._draft is None else self._draft
        dropped = revocations.dropped
        revoked = sum(self._apply(record, revocations) for record in fetched.records)
        if fetched.undecodable:
            self._skipped(len(fetched.undecodable), "nobody can decode it")
        if revocations.dropped > dropped:
            self._dropped(revocations.dropped - dropped, len(revocations))
        self._reached(fetched.next_offsets.get(self._partition, -1))
        if self._draft is None and fetched.records:
            self._held.set(len(self._revocations))
            if revoked:
                self.on_revoked()

    def _apply(self, record: Record, revocations: Revocations) -> bool:
        """Whether something is revoked by it."""
        try:
            subject = subject_of(record.key)
            revocation = None if record.value is None else revocation_of(subject, record.value)
        except BadRevocationError as error:
            self._skipped(1, str(error), record.offset)
            return False
        if revocation is None:
            revocations.lift(subject)
            self._records["lifted"].inc()
            return False
        revocations.revoke(subject, revocation)
        self._records["revoked"].inc()
        return True

    def _reached(self, offset: int) -> None:
        """Where the end is reached that was there at the beginning, what was read takes effect."""
        if self._draft is None or offset < self._end:
            return
        self._revocations, self._draft = self._draft, None
        self._revocations.expire(self._clock())
        self._held.set(len(self._revocations))
        _log.info("revocations read", topic=self._partition.topic, held=len(self._revocations))
        self._known.set()
        self.on_revoked()

    def _expire(self) -> None:
        now = self._clock()
        if now - self._expired_at >= _EXPIRE_INTERVAL:
            self._expired_at = now
            self._revocations.expire(now)
            self._held.set(len(self._revocations))

    def _skipped(self, number: int, why: str, offset: int | None = None) -> None:
        self._records["skipped"].inc(number)
        _log.warning("revocation skipped", offset=offset, error=why)

    def _dropped(self, number: int, held: int) -> None:
        self._records["dropped"].inc(number)
        _log.error(
            "too many revocations: those that are over first were dropped, their tokens are good again; "
            "revoke by user instead, or change the key that tokens are signed with",
            dropped=number,
            held=held,
        )

    async def _await_topic(self, error: UnknownTopicError) -> None:
        if not self._is_missing:
            _log.warning(
                "there is no topic of revocations: no token can be revoked; make it with `tidewire topics apply`",
                topic=self._partition.topic,
                error=str(error),
            )
        self._is_missing = True
        self._is_assigned = False
        self._draft = None
        self._known.set()
        await asyncio.sleep(self._poll_interval)

    async def _pause(self, error: KafkaError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("revocations cannot be read", error=str(error))
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter
