"""One subscription as the application sees it: iterate it, read its map, change its rate, end it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .backoff import Backoff
from .batches import Arrival, Batch, NewestBuffer, OrderedBuffer, Receipt
from .errors import NotReadyError, TidewireClientError
from .messages import (
    ErrorReply,
    Event,
    Gap,
    GapNotice,
    ServerMessage,
    Snapshot,
    Status,
    Subscribed,
    Updates,
)
from .options import Options
from .position import Position
from .subscription_state import Accepted, SubscriptionState

if TYPE_CHECKING:
    from .link import Answer, Link
    from .tracing import Tracing

__all__ = ["Host", "Request", "StateView", "Subscription"]

MOST_RECEIPTS = 128
"""Spans that one consumer holds open; those beyond end when their message was taken in."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the application asked for; None: what the stream gives by default."""

    channel: str
    mode: str | None = None
    interval_ms: int | None = None
    snapshot: bool = True
    since: Position | None = None
    on_status: Callable[[str], None] | None = None


class Host(Protocol):
    """What a subscription needs of the client that holds it."""

    @property
    def options(self) -> Options: ...
    @property
    def failure(self) -> str: ...
    @property
    def tracing(self) -> "Tracing | None": ...
    def attach(self, subscription: "Subscription") -> object: ...
    def let_go(self, subscription: "Subscription") -> None: ...
    async def change(self, subscription: "Subscription", change: Mapping[str, Any]) -> None: ...
    async def leave(self, subscription: "Subscription") -> None: ...


class StateView(Mapping[str, Any]):
    """Key → data of the newest event, read-only and live; empty in mode `every`."""

    def __init__(self, newest: Mapping[str, Event]) -> None:
        self._newest = newest

    def __getitem__(self, key: str) -> Any:
        return self._newest[key].data

    def __iter__(self) -> Iterator[str]:
        return iter(self._newest)

    def __len__(self) -> int:
        return len(self._newest)

    def event(self, key: str) -> Event:
        """The newest event of a key, with its time and offset. Raises ``KeyError``."""
        return self._newest[key]


class Subscription:
    """Await it to know that it stands; iterate it, with one consumer, for its batches.

    Leaving the iteration does not end it: ``unsubscribe`` or closing the client does.
    """

    def __init__(self, host: Host, request: Request, backoff: Backoff) -> None:
        self.link: Link | None = None
        self.sub: int | None = None
        self.asking: tuple[Link, Answer] | None = None
        self._host = host
        self._request = request
        self._interval_ms = request.interval_ms
        self._is_paused = False
        self._is_over = False
        self._has_let_go = False
        self._backoff = backoff
        self._retry_timer: asyncio.TimerHandle | None = None
        self._state = SubscriptionState(snapshot=request.snapshot, since=request.since)
        self._buffer: NewestBuffer | OrderedBuffer | None = None
        self._view = StateView(self._state.newest)
        self._first_answer = asyncio.Event()
        self._something = asyncio.Event()
        self._error: TidewireClientError | None = None
        self._iteration: object | None = None  # of several the last one counts
        self._receipts: set[Receipt] = set()

    @property
    def channel(self) -> str:
        return self._request.channel

    @property
    def mode(self) -> str:
        """The mode granted; before that `latest`."""
        return self._state.mode

    @property
    def granted_interval_ms(self) -> int:
        """The interval that the server granted."""
        return self._state.interval_ms

    @property
    def state(self) -> StateView:
        return self._view

    @property
    def position(self) -> Position | None:
        """How far this client has received; ``Batch.position`` is how far the application has."""
        return self._state.position

    @property
    def feed_state(self) -> str:
        """`live`, `stale` (the node has lost its source) or `lagging` (this client is too slow)."""
        return self._state.feed_state

    @property
    def feed_age(self) -> float:
        """Seconds for which the feed had been so when the server said it; 0 while it is `live`."""
        return self._state.feed_age

    @property
    def recovered(self) -> str:
        """What the last resume brought: exact, changes, snapshot, gap or none."""
        return self._state.recovered

    @property
    def recovered_reason(self) -> str | None:
        """Why ``recovered`` is a `gap`, or a `snapshot` in place of what was asked for."""
        return self._state.recovered_reason

    def __await__(self) -> Generator[Any, None, "Subscription"]:
        return self._ready().__await__()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Batches until the subscription ends; raises why, unless the application ended it."""
        iteration = self._iteration = object()
        try:
            while True:
                self._something.clear()
                while (batch := self._take()) is not None:
                    yield batch
                    self._dealt_with_taken()
                if self._is_over:
                    break
                await self._something.wait()
        finally:
            if self._iteration is iteration:
                self._iteration = None
                self._end_receipts([*self._receipts])
        if self._error is not None:
            raise self._error

    async def update(self, *, interval_ms: int | None = None, paused: bool | None = None) -> None:
        """Change the rate, with no gap. Offline it takes effect at the next connection.

        Raises ``SubscriptionError`` where the server refuses; the subscription goes on as it was.
        """
        change = {"interval_ms": interval_ms, "paused": paused}
        await self._host.change(self, change)

    async def unsubscribe(self) -> None:
        await self._host.leave(self)

    # What follows is called by the client.

    @property
    def wants_attaching(self) -> bool:
        """Whether it should stand on a connection; paused or behind its consumer it holds a position."""
        return not (self._is_over or self._is_paused or self._has_let_go)

    def answer_awaited_on(self, link: "Link") -> "Answer | None":
        """The answer to a `subscribe` that is on its way over ``link``."""
        if self.asking is None or self.asking[0] is not link or self.asking[1].done():
            return None
        return self.asking[1]

    def wire_request(self) -> dict[str, Any]:
        """The payload of `subscribe`, from the last position on."""
        position = self._state.position
        return {
            "channel": self._request.channel,
            "mode": self._request.mode,
            "interval_ms": self._interval_ms,
            "snapshot": None if self._request.snapshot else False,
            "since": None if position is None else position.to_wire(),
        }

    def bind(self, link: "Link", message: Subscribed, *, is_update: bool = False) -> None:
        """Take the number that ``link`` gave; the one before it, on any link, ends."""
        self.unbind()
        self._backoff.reset()
        self.link, self.sub = link, message.sub
        link.subscriptions[message.sub] = self
        self._announce(self._state.subscribed(message, is_update=is_update))
        self._first_answer.set()
        self._tell_status()

    def unbind(self) -> None:
        if self.link is not None and self.sub is not None:
            self.link.subscriptions.pop(self.sub, None)
        self.link = self.sub = None
        self._state.drop_parts()

    def receive(self, message: ServerMessage, received_ns: int) -> None:
        match message:
            case Updates():
                self._receive_updates(message, received_ns)
            case Snapshot():
                self._offer(self._state.snapshot(message))
            case GapNotice():
                self._announce(self._state.gap(message))
            case Status():
                self._state.status(message)
                self._tell_status()
            case _:
                pass

    def note_change(self, change: Mapping[str, Any]) -> None:
        """Remember what `update` asked for, for the connections to come."""
        if change["interval_ms"] is not None:
            self._interval_ms = change["interval_ms"]
        if change["paused"] is not None:
            self._is_paused = change["paused"]

    def retry_later(self, refusal: ErrorReply, attach: Callable[[], None]) -> None:
        """Ask again after a refusal that passes, no sooner than the server said."""
        asked = refusal.retry_after_ms
        delay = self._backoff.next_delay(None if asked is None else asked / 1000)
        self._retry_timer = asyncio.get_running_loop().call_later(delay, attach)

    def end(self, error: TidewireClientError | None = None) -> None:
        """No more batches after those that wait; ``error`` follows them."""
        if self._is_over:
            return
        self._is_over, self._error = True, error
        self.unbind()
        if self._retry_timer is not None:
            self._retry_timer.cancel()
        self._first_answer.set()
        self._something.set()

    async def _ready(self) -> "Subscription":
        try:
            async with asyncio.timeout(self._host.options.ready_timeout):
                await self._first_answer.wait()
        except TimeoutError:
            raise NotReadyError(
                f"{self.channel}: no answer within {self._host.options.ready_timeout:g} s"
                f" ({self._host.failure})"
            ) from None
        if self._error is not None:
            raise self._error
        return self

    def _receive_updates(self, message: Updates, received_ns: int) -> None:
        if not self._pending_batches().has_room(len(message.events)):
            self._has_let_go = True
            self._host.let_go(self)
            self._state.status(Status("lagging", 0))
            self._tell_status()
            return
        tracing = self._host.tracing
        receipt = None if tracing is None else tracing.begin(self.channel, message, received_ns)
        accepted = self._state.updates(message)
        arrival = Arrival(received_ns / 1e6, message.traceparent, self._held(receipt, accepted))
        self._offer(accepted, arrival)

    def _held(self, receipt: Receipt | None, accepted: Accepted) -> Receipt | None:
        """The receipt, where somebody reads and there is something to read; it ends here otherwise."""
        if receipt is None:
            return None
        if self._iteration is None or not accepted.events or len(self._receipts) >= MOST_RECEIPTS:
            receipt.end()
            return None
        self._receipts.add(receipt)
        return receipt

    def _dealt_with_taken(self) -> None:
        if self._buffer is not None:
            self._end_receipts(self._buffer.take_receipts())

    def _end_receipts(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            self._receipts.discard(receipt)
            receipt.end()

    def _offer(self, accepted: Accepted | None, arrival: Arrival | None = None) -> None:
        position = self._state.position
        if accepted is None or position is None:
            return
        self._pending_batches().offer(accepted, position, arrival)
        self._something.set()

    def _announce(self, gap: Gap | None) -> None:
        position = self._state.position
        if gap is not None and position is not None:
            self._pending_batches().offer_gap(gap, position)
            self._something.set()

    def _pending_batches(self) -> NewestBuffer | OrderedBuffer:
        if self._buffer is None:
            limit = self._host.options.buffer_events
            is_latest = self._state.mode == "latest"
            self._buffer = (
                NewestBuffer(limit, self._state.newest) if is_latest else OrderedBuffer(limit)
            )
        return self._buffer

    def _take(self) -> Batch | None:
        batch = None if self._buffer is None else self._buffer.take()
        if batch is None and self._has_let_go:
            self._has_let_go = False
            self._host.attach(self)
        return batch

    def _tell_status(self) -> None:
        if self._request.on_status is not None:
            asyncio.get_running_loop().call_soon(self._request.on_status, self.feed_state)
