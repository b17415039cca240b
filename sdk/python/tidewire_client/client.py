"""The client as the application sees it: one connection, its subscriptions on it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._version import __version__
from .backoff import Backoff
from .errors import (
    ClientClosedError,
    PermanentCloseError,
    SubscriptionError,
    TidewireClientError,
)
from .keeper import Keeper
from .link import Answer, Link
from .messages import ErrorReply, ServerMessage, Status, Subscribed, Unsubscribed
from .options import Options
from .position import Position
from .subscription import Request, Subscription
from .tokens import Tokens

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .tracing import Tracing

__all__ = ["Client", "ConnectionState"]

_logger = logging.getLogger("tidewire_client")
_PASSING_CODES = frozenset({"rate_limited", "unavailable", "internal"})


class ConnectionState(StrEnum):
    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class Client:
    """A connection to Tidewire that comes back by itself; use it with ``async with``, once.

    ``url`` is ``ws://`` or ``wss://``. Entering does not wait for the server; awaiting a subscription
    does. ``get_token`` is called for the first connection, before a token expires, and after the server
    called one expired. ``on_state`` hears every change of ``state``. ``tracer_provider``, of OpenTelemetry,
    gets a span for each message that comes traced (README, "Tracing"); raises ``TidewireClientError`` where
    opentelemetry-api is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        get_token: Callable[[], Awaitable[str]] | None = None,
        client: str = f"tidewire-py/{__version__}",
        device: str | None = None,
        on_state: Callable[[ConnectionState], None] | None = None,
        options: Options | None = None,
        tracer_provider: "TracerProvider | None" = None,
    ) -> None:
        self._options = options or Options()
        self._tracing = None
        if tracer_provider is not None:
            self._tracing = _make_tracing(tracer_provider, self._options)
        tokens = Tokens(token, get_token, timeout=self._options.connect_timeout)
        hello = {"client": client, "device": device}
        self._keeper = Keeper(url, hello, tokens, user=self, options=self._options)
        self._on_state = on_state
        self._state = ConnectionState.DISCONNECTED
        self._subscriptions: set[Subscription] = set()
        self._link: Link | None = None
        self._error: TidewireClientError | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_closing = False

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def error(self) -> TidewireClientError | None:
        """Why the client has ended; None while it lives."""
        return self._error

    @property
    def options(self) -> Options:
        return self._options

    @property
    def tracing(self) -> "Tracing | None":
        return self._tracing

    @property
    def failure(self) -> str:
        """The last reason for having no connection."""
        return self._keeper.failure

    async def __aenter__(self) -> Self:
        if self._running is not None or self._error is not None:
            raise ClientClosedError("a client is entered once; make another one")
        self._set_state(ConnectionState.CONNECTING)
        self._running = asyncio.create_task(self._run(), name="tidewire-client")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Say goodbye and end every subscription."""
        self._is_closing = True
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._finish(ClientClosedError("the client was closed"), tell=False)

    def subscribe(
        self,
        channel: str,
        *,
        mode: str | None = None,
        interval_ms: int | None = None,
        snapshot: bool = True,
        since: Position | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> Subscription:
        """A subscription: iterate it, or await it until the server has answered.

        ``mode`` is `latest` or `every`, by default the stream's first. ``on_status`` hears every change
        of ``feed_state``. Raises ``TidewireClientError`` when the client has ended.
        """
        if self._error is not None:
            raise self._error
        request = Request(channel, mode, interval_ms, snapshot, since, on_status)
        backoff = Backoff(self._options.backoff, self._options.surroundings.random)
        subscription = Subscription(self, request, backoff)
        self._subscriptions.add(subscription)
        self.attach(subscription)
        return subscription

    # For subscriptions.

    def attach(self, subscription: Subscription) -> Answer | None:
        """Ask for it on the connection that stands, if one does and it wants to."""
        link = self._link
        if link is None or not subscription.wants_attaching:
            return None
        if (asked := subscription.answer_awaited_on(link)) is not None:
            return asked
        answer = link.request(
            "subscribe",
            subscription.wire_request(),
            lambda answer: self._answered(subscription, link, answer),
        )
        subscription.asking = (link, answer)
        return answer

    def let_go(self, subscription: Subscription) -> None:
        """Drop it on the server; its position stays here."""
        link, sub = subscription.link, subscription.sub
        subscription.unbind()
        if link is not None:
            link.request("unsubscribe", {"sub": sub})

    async def change(self, subscription: Subscription, change: Mapping[str, Any]) -> None:
        if self._link and (asked := subscription.answer_awaited_on(self._link)) is not None:
            await asyncio.wait({asked})  # ends with the answer, or with the connection
        link, sub = subscription.link, subscription.sub
        if link is None or sub is None:
            subscription.note_change(change)
            self.attach(subscription)
            return
        reply = await link.request(
            "update_subscription",
            {"sub": sub, **change},
            lambda answer: self._changed(subscription, link, answer),
        )
        if isinstance(reply, ErrorReply):
            raise SubscriptionError(subscription.channel, reply.code, reply.message)
        subscription.note_change(change)

    async def leave(self, subscription: Subscription) -> None:
        link, sub = subscription.link, subscription.sub
        self._drop(subscription, None)
        if link is not None:
            await link.request("unsubscribe", {"sub": sub})

    # For the keeper.

    def use(self, link: Link) -> list[Answer]:
        self._link = link
        self._set_state(ConnectionState.CONNECTED)
        answers = [self.attach(subscription) for subscription in self._subscriptions]
        return [answer for answer in answers if answer is not None]

    def lost(self, link: Link) -> None:
        self._link = None
        self.left(link)
        self._set_state(ConnectionState.CONNECTING)

    def left(self, link: Link) -> None:
        for subscription in self._subscriptions:
            if subscription.link is link:
                subscription.unbind()

    def receive(self, link: Link, message: ServerMessage, received_ns: int) -> None:
        if isinstance(message, ErrorReply):
            _logger.warning("error from the server: %s (%s)", message.message, message.code)
            return
        for subscription in _addressed(link, message):
            if isinstance(message, Unsubscribed):
                subscription.unbind()
                self._refused(subscription, link, ErrorReply(message.code, message.reason))
            else:
                subscription.receive(message, received_ns)

    async def _run(self) -> None:
        try:
            await self._keeper.run()
        except PermanentCloseError as error:
            self._finish(error, tell=True)
        except Exception as error:
            self._finish(TidewireClientError(f"fault in the client: {error!r}"), tell=True)
            raise

    def _answered(self, subscription: Subscription, link: Link, answer: ServerMessage) -> None:
        if link is not self._link:
            return  # of a connection that is being left: its successor was asked as well
        if isinstance(answer, ErrorReply):
            self._refused(subscription, link, answer)
        elif isinstance(answer, Subscribed) and subscription.wants_attaching:
            subscription.bind(link, answer)
        elif isinstance(answer, Subscribed):
            link.request("unsubscribe", {"sub": answer.sub})

    def _refused(self, subscription: Subscription, link: Link, refusal: ErrorReply) -> None:
        if refusal.code in _PASSING_CODES:
            subscription.retry_later(refusal, lambda: self._attach_again(subscription, link))
            return
        error = SubscriptionError(subscription.channel, refusal.code, refusal.message)
        self._drop(subscription, error)

    def _attach_again(self, subscription: Subscription, link: Link) -> None:
        if link is self._link and subscription.link is None:
            self.attach(subscription)

    def _changed(self, subscription: Subscription, link: Link, answer: ServerMessage) -> None:
        if isinstance(answer, Subscribed) and subscription.link is link:
            subscription.bind(link, answer, is_update=True)

    def _drop(self, subscription: Subscription, error: TidewireClientError | None) -> None:
        self._subscriptions.discard(subscription)
        subscription.end(error)

    def _finish(self, error: TidewireClientError, *, tell: bool) -> None:
        self._error = self._error or error
        self._link = None
        for subscription in [*self._subscriptions]:
            self._drop(subscription, error if tell else None)
        self._set_state(ConnectionState.DISCONNECTED)

    def _set_state(self, state: ConnectionState) -> None:
        if state is self._state or (self._is_closing and state is ConnectionState.CONNECTING):
            return
        self._state = state
        if self._on_state is not None:
            asyncio.get_running_loop().call_soon(self._on_state, state)


def _make_tracing(provider: "TracerProvider", options: Options) -> "Tracing":
    try:
        from .tracing import Tracing  # OpenTelemetry is no dependency of this package
    except ImportError as error:
        raise TidewireClientError(
            f"tracer_provider needs {error.name}, which is not installed: pip install opentelemetry-api"
        ) from error
    return Tracing(provider, options.surroundings.wall_ns)


def _addressed(link: Link, message: ServerMessage) -> list[Subscription]:
    sub = getattr(message, "sub", None)
    if sub is not None:
        subscription = link.subscriptions.get(sub)
        return [] if subscription is None else [subscription]
    return [*link.subscriptions.values()] if isinstance(message, Status) else []
