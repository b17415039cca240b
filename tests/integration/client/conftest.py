"""Scripted gateways, and a client whose waits and chances the test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from integration.client.scripted_gateway import ScriptedGateway, scripted_gateway
from tidewire_client import Client, Options, Surroundings


@dataclass
class Waits:
    """Every wait of the client, in seconds; each ends at once."""

    asked: list[float] = field(default_factory=list)
    chance: float = 1.0

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(random=lambda: self.chance, sleep=self.sleep)


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway() as running:
        yield running


@pytest.fixture
async def second_gateway() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway() as running:
        yield running


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def make_client(gateway: ScriptedGateway, waits: Waits) -> Callable[..., Client]:
    """A client of `gateway`; keywords go to ``Client``, those of ``Options`` into its options."""

    def make(**given: Any) -> Client:
        names = {name for name in Options.__dataclass_fields__ if name in given}
        options = replace(
            Options(surroundings=waits.surroundings), **{name: given.pop(name) for name in names}
        )
        return Client(given.pop("url", gateway.url), options=options, **given)

    return make
