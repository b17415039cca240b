"""The way to the registry: batched lookups, and whether it answers at all."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidewire.targeting.errors import RegistryUnavailableError
from tidewire.targeting.registry import Place, Registry
from tidewire.telemetry.logging import get_logger

from .backoff import Backoff
from .core.lookups import LookupCache
from .instruments import Failure, Instruments

__all__ = ["RegistryGate"]

_MOST_USERS: Final = 1000
_LOOKUP_TIMEOUT: Final = 3.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Round:
    """Users that are looked up together."""

    users: dict[str, None] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Place]] | None = None


class RegistryGate:
    """Lookups, whose answers go to the cache. After a failure nobody asks until `watch` had an answer again.

    One is under way at a time; what is wanted meanwhile goes into the next one, for all partitions together.
    """

    def __init__(
        self,
        registry: Registry,
        cache: LookupCache,
        instruments: Instruments,
        *,
        on_answering: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._instruments = instruments
        self._on_answering = on_answering
        self._next_round = _Round()
        self._turn = asyncio.Lock()
        self._gone = asyncio.Event()
        self._probe: Sequence[str] = ()

    @property
    def is_away(self) -> bool:
        return self._gone.is_set()

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]] | None:
        """Where each of the users is, and maybe others; None while the registry does not answer."""
        if self.is_away:
            return None
        if not users:
            return {}
        own = self._next_round
        own.users.update(dict.fromkeys(users))
        async with self._turn:
            if own.answers is None and not self.is_away:
                if self._next_round is own:
                    self._next_round = _Round()
                own.answers = await self._ask_all(tuple(own.users))
        return own.answers

    async def watch(self) -> None:
        """Until cancelled: whenever the registry is away, ask it now and then, and tell when it answers."""
        while True:
            await self._gone.wait()
            backoff = Backoff(most=1.0)
            while self.is_away:
                await backoff.pause()
                await self._ask(self._probe)
            _log.info("the registry answers again")
            self._on_answering()

    async def _ask_all(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]] | None:
        answers: dict[str, Sequence[Place]] = {}
        for start in range(0, len(users), _MOST_USERS):
            answers |= await self._ask(users[start : start + _MOST_USERS])
            if self.is_away:
                return None
        return answers

    async def _ask(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_LOOKUP_TIMEOUT):
                places = await self._registry.lookup(users)
        except (RegistryUnavailableError, TimeoutError) as error:
            self._failed(users, error)
            return {}
        answers = {user: tuple(places.get(user, ())) for user in users}
        self._cache.put(answers.items(), asked_at)
        self._instruments.lookups.inc()
        self._instruments.users_from_registry.inc(len(users))
        self._gone.clear()
        self._instruments.registry_away.set(0)
        return answers

    def _failed(self, users: Sequence[str], error: Exception) -> None:
        self._instruments.failed(Failure.REGISTRY)
        if not self.is_away:
            reason = str(error) or f"no answer within {_LOOKUP_TIMEOUT:g} s"
            _log.warning("the registry is away: known users are routed as before", reason=reason)
        self._probe = users[:1]
        self._gone.set()
        self._instruments.registry_away.set(1)
