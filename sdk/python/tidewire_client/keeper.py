"""Keeps one connection standing: back-off, close codes, make-before-break, token renewal."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from .backoff import Backoff
from .errors import AddressError, PermanentCloseError
from .link import Answer, Link, open_link
from .messages import Goaway, Refreshed, ServerMessage
from .options import Options, Surroundings
from .policy import Duty, LinkEnd, duty_of, refresh_delay
from .tokens import LinkLost, Tokens

__all__ = ["Keeper", "LinkUser", "check_url"]

_logger = logging.getLogger("tidewire_client")
_GOAWAY_SHARE = 0.8  # the rest of the time that a goaway leaves is for the way itself


class LinkUser(Protocol):
    """Who uses the connections."""

    def use(self, link: Link) -> list[Answer]:
        """Take ``link`` as the connection from now on; the answers to wait for before the old one ends."""

    def lost(self, link: Link) -> None:
        """``link`` is over; no other stands yet."""

    def left(self, link: Link) -> None:
        """``link`` is over; its successor is in use already."""

    def receive(self, link: Link, message: ServerMessage, received_ns: int) -> None: ...


class Keeper:
    """``failure`` tells the last reason for having no connection."""

    def __init__(
        self,
        url: str,
        hello: Mapping[str, Any],
        tokens: Tokens,
        *,
        user: LinkUser,
        options: Options,
    ) -> None:
        check_url(url)
        self.failure = "not connected yet"
        self._url = url
        self._hello = hello
        self._tokens = tokens
        self._user = user
        self._options = options
        self._around: Surroundings = options.surroundings
        self._backoff = Backoff(options.backoff, self._around.random)
        self._was_connected = False
        self._connected_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled. Raises ``PermanentCloseError``."""
        try:
            link = await self._connect(self._url)
            self._user.use(link)
            while True:
                await _either(link.ended, link.goaway)
                successor = None
                if not link.ended.done():
                    successor = await self._move(link, link.goaway.result())
                link = successor or await self._reconnect(link)
        finally:
            await _cancel(self._tasks)

    async def _reconnect(self, link: Link) -> Link:
        self._user.lost(link)
        self._backoff.connection_lived(self._around.monotonic() - self._connected_at)
        await self._wait_before_next(link.ended.result())
        successor = await self._connect(self._url)
        self._user.use(successor)
        return successor

    async def _move(self, link: Link, goaway: Goaway) -> Link | None:
        """Make before break; None when ``link`` ended before its successor stood."""
        _logger.info("asked to move: %s", goaway.reason)
        moving = asyncio.create_task(self._connect_unhurried(goaway))
        try:
            await _either(moving, link.ended)
            if not moving.done():
                return None
            successor = moving.result()
        except PermanentCloseError as refused:
            _logger.warning("move refused, the connection stays until it ends: %s", refused)
            await _either(link.ended)
            return None
        finally:
            await _cancel({moving})
        answers = self._user.use(successor)
        if answers:
            await asyncio.wait(answers, timeout=self._options.request_timeout)
        await link.close()
        self._user.left(link)
        return successor

    async def _connect_unhurried(self, goaway: Goaway) -> Link:
        delay = goaway.after_ms / 1000 * _GOAWAY_SHARE * self._around.random()
        self._backoff.connection_lived(self._around.monotonic() - self._connected_at)
        is_in_motion = self._backoff.attempts > 0
        pause = self._backoff.next_delay()
        # Sent away again before the connection proved stable: the fleet is in motion, do not run in circles.
        await self._around.sleep(delay + pause if is_in_motion else delay)
        return await self._connect(goaway.url or self._url)

    async def _connect(self, url: str) -> Link:
        while True:
            try:
                token = await self._tokens.current()
                link = await open_link(url, {"token": token, **self._hello}, self._options)
            except LinkLost as lost:
                await self._wait_before_next(lost.end)
                url = self._url
            else:
                _logger.info("connected to %s", link.welcome.node)
                self._was_connected = True
                self._connected_at = self._around.monotonic()
                self._spawn(link.run(self._user.receive))
                self._spawn(self._keep_token_fresh(link))
                return link

    async def _wait_before_next(self, end: LinkEnd) -> None:
        self.failure = end.reason or f"closed with {end.code}"
        duty = duty_of(end, was_connected=self._was_connected, can_renew=self._tokens.can_renew)
        if duty is Duty.STOP:
            _logger.error("refused for good: %s", self.failure)
            raise PermanentCloseError(end.status or end.code, end.reason)
        if duty is Duty.RENEW:
            self._tokens.expire()
        delay = self._backoff.next_delay(end.retry_after)
        _logger.info("no connection: %s; next attempt in %.2f s", self.failure, delay)
        await self._around.sleep(delay)

    async def _keep_token_fresh(self, link: Link) -> None:
        expires_in_ms = link.welcome.expires_in_ms
        if expires_in_ms is None or not self._tokens.can_renew:
            return
        backoff = Backoff(self._options.backoff, self._around.random)
        delay = refresh_delay(expires_in_ms)
        while not await link.ends_within(delay, self._around.sleep):
            self._tokens.expire()
            try:
                token = await self._tokens.current()
            except LinkLost as lost:
                _logger.warning("token not renewed: %s", lost)
                delay = backoff.next_delay()
                continue
            reply = await link.request("refresh", {"token": token})
            if not isinstance(reply, Refreshed):
                return  # refused: the server closes the connection, and says why
            delay = refresh_delay(reply.expires_in_ms)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("fault in the client", exc_info=error)


async def _either(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(tasks: "set[asyncio.Task[Any]]") -> None:
    waiting = [*tasks]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def check_url(url: str) -> None:
    """Raises ``AddressError`` for what is no WebSocket address."""
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise AddressError(f"{url!r} is no address: use ws://HOST:PORT/v1/ws or wss://HOST/v1/ws")
