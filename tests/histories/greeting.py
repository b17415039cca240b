"""A connection of a recording client: a link that says hello, and what was asked on it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidewire_client.policy import LinkEnd

from .entries import Asked
from .link import RecordingLink
from .wire import Heading

__all__ = ["Connection", "RefusedError", "either", "subscribe_payload"]


class RefusedError(Exception):
    """The handshake led to no WebSocket."""

    def __init__(self, end: LinkEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class Connection:
    """A link that said hello. ``asked`` and ``subscriptions`` lead from request and `sub` to ours."""

    def __init__(self, number: int, link: RecordingLink) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.link = link
        self.welcome: asyncio.Future[Heading] = loop.create_future()
        self.goaway: asyncio.Future[Heading] = loop.create_future()
        self.asked: dict[int, int] = {}
        self.subscriptions: dict[int, int] = {}
        self.last_id = 0
        self.opened_at = time.monotonic()
        self.retry_after: float | None = None
        self.is_over = False

    async def greeted(self, patience: float) -> bool:
        """Wait for `welcome`; False when the link ended first, or was given up after ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                await either(self.welcome, self.link.ended)
        except TimeoutError:
            self.link.abort("no welcome in time")
            await self.link.ended
        return self.welcome.done()

    def send(self, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Requests in one frame, numbered on from ``last_id``; fields that are None are left out."""
        frame = []
        for type_, payload in requests:
            self.last_id += 1
            present = {name: value for name, value in payload.items() if value is not None}
            frame.append({"v": 1, "type": type_, "id": self.last_id, "payload": present})
        self.link.send(msgspec.json.encode(frame).decode())

    def end(self) -> LinkEnd:
        """How it ended, with the time that the server asked for if it did."""
        end = self.link.ended.result()
        return LinkEnd(end.reason, end.code, end.status, end.retry_after or self.retry_after)


def subscribe_payload(asked: Asked) -> dict[str, Any]:
    """The payload of a `subscribe` request."""
    since = asked.since
    if since is not None:
        offsets = {str(p): offset for p, offset in since.offsets.items()}
        wire: dict[str, Any] | None = {"epoch": since.epoch, "offsets": offsets}
    else:
        wire = None
    return {
        "channel": asked.channel,
        "mode": asked.mode,
        "interval_ms": asked.interval_ms,
        "snapshot": asked.snapshot,
        "since": wire,
    }


async def either(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
