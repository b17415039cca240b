"""Keys that an identity provider publishes under a URL, kept up to date (the loop's side of `JwksState`)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from .errors import InvalidTokenError, KeyNeededError, KeysUnavailableError, Refusal
from .jwks_document import UnusableDocumentError, keys_of
from .jwks_http import JwksUnavailableError
from .jwks_state import JwksState, JwksTimes, Verdict
from .key_ring import ASYMMETRIC, Algorithm, VerificationKey

__all__ = ["JwksKeys"]

_MOST_WAITING: Final = 1024
_NOT_YET: Final = "the key of the token is not known yet; try again"


class JwksKeys:
    """A `KeySource`; nothing is fetched but by `run`, which a service keeps going.

    ``fetch`` raises ``JwksUnavailableError``. ``on_fetched`` hears of every fetch: None where it succeeded, else what was wrong.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        algorithms: frozenset[Algorithm] = ASYMMETRIC,
        times: JwksTimes,
        on_fetched: Callable[[JwksUnavailableError | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._algorithms = algorithms
        self._times = times
        self._on_fetched = on_fetched
        self._clock = clock
        self._state = JwksState(times, clock())
        self._is_due = asyncio.Event()
        self._ended = asyncio.Event()
        self._waiting = 0
        self._forget: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Fetch when it is time, until cancelled; who waits then is told that nothing came."""
        try:
            while True:
                await self._until_due()
                await self._fetch_once()
        finally:
            self._ended.set()

    def held(self, algorithm: Algorithm, name: str | None) -> tuple[VerificationKey, ...]:
        return self._state.held(algorithm, name)

    def require(self, name: str | None) -> None:
        now = self._clock()
        verdict = self._state.look_up(name, now)
        if verdict is Verdict.WRONG:
            return
        if verdict is Verdict.NO:
            raise InvalidTokenError(
                "the token is not valid: its issuer publishes no such key", Refusal.UNKNOWN_KEY
            )
        retry_after = self._state.retry_after(now)
        if verdict is Verdict.LATER or self._waiting >= _MOST_WAITING or self._ended.is_set():
            raise KeysUnavailableError(_NOT_YET, retry_after=retry_after)
        self._is_due.set()
        raise KeyNeededError(_NOT_YET, retry_after=retry_after, arrival=self._arrival)

    def on_withdrawn(self, forget: Callable[[], None]) -> None:
        self._forget.append(forget)

    async def _arrival(self) -> None:
        """Until the fetch that is due has ended, either way."""
        self._waiting += 1
        try:
            await self._ended.wait()
        finally:
            self._waiting -= 1

    async def _until_due(self) -> None:
        while (rest := self._state.due_at - self._clock()) > 0:
            self._is_due.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._is_due.wait()
            except TimeoutError:
                continue

    async def _fetch_once(self) -> None:
        self._state.begin()
        failure: JwksUnavailableError | None = None
        is_withdrawn = False
        try:
            async with asyncio.timeout(self._times.timeout):
                document = await self._fetch()
            keys = keys_of(document, self._algorithms)
            is_withdrawn = self._state.succeed(keys, self._clock(), random.random())  # noqa: S311 - jitter
        except (JwksUnavailableError, UnusableDocumentError, TimeoutError) as error:
            failure = _failure(error)
            self._state.fail(self._clock(), random.random())  # noqa: S311 - jitter
        if is_withdrawn:
            for forget in self._forget:
                forget()
        self._on_fetched(failure)
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()


def _failure(error: Exception) -> JwksUnavailableError:
    match error:
        case JwksUnavailableError():
            return error
        case TimeoutError():
            return JwksUnavailableError("timed_out", "it did not answer in time")
        case _:
            return JwksUnavailableError("unusable", str(error))
