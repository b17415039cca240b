"""Pushes to nodes: asks the registry where a user is, calls each node with a deadline."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import httpx

from tidewire.targeting.errors import RegistryUnavailableError
from tidewire.targeting.registry import Place, Registry
from tidewire.telemetry.metrics import Metrics

from .core.push import Call, Device, DeviceOutcome, Push, devices_of, read_call, request_of

__all__ = ["MAX_CALLS", "Pusher"]

MAX_CALLS: Final = 64
_PATH: Final = "/internal/push"


class Pusher:
    """Owns the registry's client and the nodes'.

    ``timeout`` seconds for the lookup, and as many for the calls, waiting included: at most `MAX_CALLS`
    are under way, and one that gets no place among them in time is not made, and told as ``limited``.
    """

    def __init__(
        self, registry: Registry, nodes: httpx.AsyncClient, *, timeout: float, metrics: Metrics
    ) -> None:
        self._registry = registry
        self._nodes = nodes
        self._timeout = timeout
        self._free = asyncio.Semaphore(MAX_CALLS)
        self._devices = metrics.counters("push_devices_total", "outcome")
        self._calls = metrics.counters("push_calls_total", "outcome")

    async def push(self, push: Push) -> Sequence[Device]:
        """What became of the push on each device of the user.

        Raises `RegistryUnavailableError`: nothing was pushed.
        """
        expires_at = None if push.ttl is None else time.monotonic() + push.ttl
        places = await self._places_of(push.user)
        called = await asyncio.gather(*(self._reach(push, p, expires_at) for p in places))
        devices = [device for of_node in called for device in of_node]
        for device in devices:
            self._devices[device.outcome].inc()
        return devices

    async def close(self) -> None:
        await self._nodes.aclose()
        await self._registry.close()

    async def _places_of(self, user: str) -> Sequence[Place]:
        try:
            async with asyncio.timeout(self._timeout):
                return (await self._registry.lookup([user])).get(user, ())
        except TimeoutError:
            raise RegistryUnavailableError(
                f"the registry did not answer within {self._timeout:g} s; nothing was pushed"
            ) from None

    async def _reach(self, push: Push, place: Place, expires_at: float | None) -> Sequence[Device]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            return devices_of(place, DeviceOutcome.LIMITED)
        try:
            if expires_at is not None and time.monotonic() >= expires_at:
                return devices_of(place, DeviceOutcome.EXPIRED)
            call, devices = await self._call(push, place, deadline)
        finally:
            self._free.release()
        self._calls[call].inc()
        return devices

    async def _call(
        self, push: Push, place: Place, deadline: float
    ) -> tuple[Call, Sequence[Device]]:
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._nodes.post(
                    place.address.rstrip("/") + _PATH,
                    content=request_of(push, place),
                    headers={"Content-Type": "application/json", **push.trace},
                )
        except (TimeoutError, httpx.TimeoutException):
            return Call.TIMED_OUT, devices_of(place, DeviceOutcome.STALE)
        except (httpx.HTTPError, httpx.InvalidURL):
            return Call.UNREACHABLE, devices_of(place, DeviceOutcome.STALE)
        return read_call(answer.status_code, answer.content, place)
