"""Lets time pass in the store: leases end, dead sessions are swept, figures are taken."""

import asyncio
from typing import Final

from tidewire.targeting.errors import StoreUnavailableError
from tidewire.telemetry.logging import get_logger

from .instruments import Instruments
from .stores.port import RegistryStore, Tick

__all__ = ["Housekeeping"]

_log = get_logger("tidewire_registry.housekeeping")

TICK_INTERVAL: Final = 0.25
"""Seconds between settlements: how late, at most, a lease ends."""
_TICKS_PER_TIDYING: Final = 4
_SESSIONS_PER_TIDYING: Final = 500
"""Swept and kept alive a second: ten million are kept alive in under six hours."""


class Housekeeping:
    """`run` until cancelled. It survives a store that is away, and tells of it once."""

    def __init__(self, store: RegistryStore, instruments: Instruments) -> None:
        self._store = store
        self._instruments = instruments
        self._is_up = True
        self._is_frozen = False

    async def run(self) -> None:
        ticks = 0
        while True:
            try:
                await self.settle()
                if ticks % _TICKS_PER_TIDYING == 0:
                    await self._tidy()
                self._tell_up()
            except StoreUnavailableError as error:
                self._tell_away(error)
            ticks += 1
            await asyncio.sleep(TICK_INTERVAL)

    async def settle(self) -> None:
        """End what ran out; raises `StoreUnavailableError`."""
        tick = await self._store.settle()
        self._instruments.leases_ended.inc(len(tick.ended))
        self._instruments.froze(tick.is_frozen)
        for node in tick.ended:
            _log.warning("a lease ran out: the node's sessions are over", node=node)
        if tick.doubted:
            _log.warning(
                "the store was restarted, or another took over: nodes announce their sessions anew",
                nodes=tick.doubted,
            )
        self._tell_freeze(tick)

    async def _tidy(self) -> None:
        self._instruments.swept.inc(await self._store.tidy(_SESSIONS_PER_TIDYING))
        self._instruments.saw(await self._store.overview())

    def _tell_freeze(self, tick: Tick) -> None:
        if tick.frozen:
            _log.warning(
                "many leases ran out at once, so none is ended for now: see whether nodes can reach "
                "the registry, and the registry its store",
                nodes=len(tick.frozen),
            )
        if self._is_frozen and not tick.is_frozen:
            _log.info("leases end again: the frozen ones were renewed or are over")
        self._is_frozen = tick.is_frozen

    def _tell_up(self) -> None:
        if not self._is_up:
            _log.info("the store answers again")
        self._is_up = True
        self._instruments.store_is_up(True)

    def _tell_away(self, error: StoreUnavailableError) -> None:
        if self._is_up:
            _log.warning("the store does not answer", reason=str(error))
        self._is_up = False
        self._instruments.store_is_up(False)
