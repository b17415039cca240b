"""Tell the registry who has come and gone, in batches."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

from tidewire.targeting.errors import (
    BatchOvertakenError,
    LeaseLostError,
    RegistryUnavailableError,
)
from tidewire.targeting.registry import Evicted, Registry, Session
from tidewire.telemetry.logging import get_logger

from ..core.announcements import Announcements
from ..core.lease_clock import LeaseClock
from ..instruments import Instruments

__all__ = ["Announcer"]

_GATHER = 0.05
_MOST = 500
_RETRY = 1.0
_SPREAD = 1.0
"""Seconds over which nodes begin that announce everybody anew: the store has just lost all, or come back."""

_log = get_logger(__name__)


class Announcer:
    """``on_known`` is called with the connections that the registry has from then on, ``on_evicted`` with those that have to go.

    ``on_lease_lost`` is called where the registry does not know the lease.
    """

    def __init__(
        self,
        registry: Registry,
        node: str,
        *,
        clock: LeaseClock,
        on_known: Callable[[Iterable[str]], None],
        on_evicted: Callable[[Sequence[Evicted]], None],
        on_lease_lost: Callable[[], None],
        instruments: Instruments,
    ) -> None:
        self._registry = registry
        self._node = node
        self._clock = clock
        self._on_known = on_known
        self._on_evicted = on_evicted
        self._on_lease_lost = on_lease_lost
        self._instruments = instruments
        self._announcements = Announcements()
        self._news = asyncio.Event()
        self._is_again = False

    def connected(self, session: Session) -> None:
        self._announcements.connected(session)
        self._news.set()

    def disconnected(self, connection: str) -> None:
        self._announcements.disconnected(connection)
        if self._announcements.has_news:
            self._news.set()

    @property
    def known(self) -> int:
        """Connections that the registry has."""
        return self._announcements.known

    def is_known(self, connection: str) -> bool:
        return self._announcements.is_known(connection)

    def begin_anew(self) -> None:
        """There is a new lease: everybody is told again."""
        self._announcements.forget()
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(_GATHER)
            while self._announcements.has_news and self._is_held():
                await self._tell()

    def lost(self) -> None:
        """There is no lease: nobody is known any more."""
        self._announcements.forget()
        self._is_again = True

    def _is_held(self) -> bool:
        return self._clock.is_held(asyncio.get_running_loop().time())

    async def _tell(self) -> None:
        lease = self._clock.lease
        assert lease is not None
        if self._is_again:
            self._is_again = False
            await asyncio.sleep(random.uniform(0, _SPREAD))  # noqa: S311 - jitter
            return
        batch = self._announcements.begin(_MOST)
        try:
            evicted = await self._registry.announce(self._node, lease.epoch, batch)
        except LeaseLostError:
            self._end(lease.epoch, is_told=False)
            if self._clock.lease is lease:  # there may be a new one already
                self._on_lease_lost()
        except (RegistryUnavailableError, BatchOvertakenError) as error:
            self._end(lease.epoch, is_told=False)
            self._instruments.registry_call("failed")
            _log.warning("sessions not announced", error=str(error))
            await asyncio.sleep(random.uniform(_RETRY / 2, _RETRY))  # noqa: S311 - jitter
        else:
            self._instruments.registry_call("ok")
            self._end(lease.epoch, is_told=True)
            self._on_evicted(evicted)
            await asyncio.sleep(0 if len(batch.connected) < _MOST else _GATHER)

    def _end(self, epoch: str, *, is_told: bool) -> None:
        """A batch that was begun under another lease counts for nothing: everybody is told again already."""
        if not self._announcements.is_in_flight:
            return
        if self._clock.lease is None or self._clock.lease.epoch != epoch or not is_told:
            self._announcements.failed()
        else:
            self._on_known(self._announcements.acknowledged())
