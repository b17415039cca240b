"""Hold a lease: register, renew, come back under a new epoch."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from tidewire.kafka.errors import KafkaError, UnknownTopicError
from tidewire.targeting.errors import (
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    RegistryUnavailableError,
)
from tidewire.targeting.registry import Lease, NodeAnnouncement, Registry
from tidewire.telemetry.logging import get_logger

from ..core.lease_clock import LeaseClock
from ..instruments import Instruments

__all__ = ["Registration"]

_RENEWALS = 5
"""In the time of a lease."""
_RETRY_FIRST = 0.2
_RETRY_MOST = 5.0
_RELEASE_TIMEOUT = 2.0
_MEANWHILE = "streams go on, messages to users come from their mailboxes, seconds late"
_CURE = "give the inbox topic as many partitions as TIDEWIRE_REGISTRY__SLOTS says"

_log = get_logger(__name__)


class Registration:
    """Runs until cancelled, and then gives the slot back.

    ``on_granted`` is awaited with each new lease before anything else happens under it; where it raises ``KafkaError`` another is
    asked for later. ``on_lost`` is called as soon as the node may not act under its lease any more, by its own clock.
    """

    def __init__(
        self,
        registry: Registry,
        announcement: Callable[[], NodeAnnouncement],
        *,
        clock: LeaseClock,
        on_granted: Callable[[Lease], Awaitable[None]],
        on_lost: Callable[[], None],
        instruments: Instruments,
    ) -> None:
        self._registry = registry
        self._announcement = announcement
        self._clock = clock
        self._on_granted = on_granted
        self._on_lost = on_lost
        self._instruments = instruments
        self._last_epoch: str | None = None
        self._failures = 0
        self._told: str | None = None
        self._is_over = asyncio.Event()

    def lost(self) -> None:
        """Somebody was told that the lease is not there any more."""
        if self._clock.lease is not None:
            self._give_up("the registry knows another holder, or none")
            self._is_over.set()

    async def run(self) -> None:
        try:
            while True:
                if await self._register():
                    await self._renew()
        finally:
            await self._release()

    async def _register(self) -> bool:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        self._is_over.clear()
        try:
            lease = await self._registry.register(self._announcement(), replaces=self._last_epoch)
        except RegistryUnavailableError as error:
            await self._pause("registry does not answer", str(error))
            return False
        except (NoFreeSlotError, NodeNameTakenError) as error:
            await self._pause("registry has no place for this node", str(error))
            return False
        self._last_epoch = lease.epoch
        try:
            await self._on_granted(lease)
        except UnknownTopicError as error:
            await self._pause("inbox has no partition for this node's slot", f"{error}; {_CURE}")
            return False
        except KafkaError as error:
            await self._pause("inbox cannot be opened", str(error))
            return False
        self._is_over.clear()
        self._clock.granted(lease, sent_at)  # not before: nobody is announced without an open inbox
        self._failures, self._told = 0, None
        self._instruments.lease_held.set(1)
        _log.info("registered", slot=lease.slot, epoch=lease.epoch)
        return True

    async def _renew(self) -> None:
        """Until the lease is over."""
        loop = asyncio.get_running_loop()
        while (lease := self._clock.lease) is not None:
            left = self._clock.ends_at - loop.time()
            if left <= 0:
                self._give_up("it could not be renewed in time")
                return
            await self._wait(min(lease.lease_ms / 1000 / _RENEWALS, left))
            if self._clock.lease is not lease:
                return
            sent_at, announcement = loop.time(), self._announcement()
            try:
                async with asyncio.timeout_at(self._clock.ends_at):
                    lease_ms = await self._registry.renew(
                        announcement.node, lease.epoch, announcement.state, announcement.load
                    )
            except LeaseLostError:
                self.lost()
                return
            except (RegistryUnavailableError, TimeoutError) as error:
                self._instruments.registry_call("failed")
                _log.warning("lease not renewed", error=str(error))
                continue
            self._instruments.registry_call("ok")
            if not self._clock.renewed(lease_ms, sent_at, loop.time()):
                self._give_up("its renewal was answered too late")
                return

    def _give_up(self, why: str) -> None:
        _log.warning(
            "lease lost: nothing from the inbox is delivered until there is another", why=why
        )
        self._instruments.lease_held.set(0)
        self._instruments.leases_lost.inc()
        self._clock.lost()
        self._on_lost()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        except TimeoutError:
            return

    async def _pause(self, event: str, why: str) -> None:
        self._failures += 1
        self._instruments.registry_call("failed")
        if self._told != event:
            self._told = event
            _log.warning(event, error=why, meanwhile=_MEANWHILE)
        longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(_RETRY_FIRST / 2, longest))  # noqa: S311 - jitter

    async def _release(self) -> None:
        lease = self._clock.lease
        if lease is None:
            return
        self._clock.lost()
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await self._registry.release(self._announcement().node, lease.epoch)
        except (RegistryUnavailableError, TimeoutError) as error:
            _log.info("lease not given back, it ends by itself", error=str(error))
