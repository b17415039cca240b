"""`@me`: what the inbox brings and the mailbox holds, to every connection of a user."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import ErrorCode, FeedState, GapReason, Mode, Recovered
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription
from tidewire.protocol.framing import text_frame
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import (
    encode_error,
    encode_gap,
    encode_message,
    encode_status,
    encode_subscribed,
    encode_unsubscribed,
    encode_updates,
)
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.mailboxes import Mailboxes, Page
from tidewire.targeting.messages import Letter
from tidewire.telemetry.logging import get_logger

from ..core.coalescing import Batch
from ..core.limits import Limits
from ..core.outbox import one_frame, updates_frames
from ..core.personal_feed import PersonalFeed
from ..core.recovery import Source
from ..core.sampling import SampledEvent
from ..instruments import Instruments
from ..traces import EventTraces, FlushSize
from ..traces import Push as PushSpan
from .letters import CHANNEL, DESTINATION, event_of
from .push import NO_OFFSET, Push, PushOutcome

__all__ = ["CHANNEL", "Mail", "MailClient", "MailSubscription", "UserTopic"]

_PAGE = 100
_READS = 24
"""Mailboxes read at once, fewer than there are connections to Redis: a storm of reconnects asks for thousands."""
_RETRY = 1.0
_POLL = 5.0
"""Between two reads of a mailbox whose connection the registry does not know of."""
_TICK = 1.0
_RETRY_AFTER_MS = 1000

_log = get_logger(__name__)


class UserTopic:
    """The targeted topic as the node knows it; ``partition_of`` finds a user's partition."""

    __slots__ = ("epoch", "partition_of")

    def __init__(self, epoch: str, partition_of: Callable[[str], int]) -> None:
        self.epoch = epoch
        self.partition_of = partition_of


class MailClient(Protocol):
    """A connection, as its `@me` sees it."""

    id: str
    identity: Identity | None
    is_congested: bool
    mail: "MailSubscription | None"

    def write(self, data: bytes) -> None: ...


class MailSubscription:
    """One connection's `@me`; ``request`` is the one that was not answered yet."""

    __slots__ = (
        "client",
        "feed",
        "is_ended",
        "is_paused",
        "late_at",
        "look_at",
        "partition",
        "recreated",
        "request",
        "stale_since",
        "sub",
        "user",
        "wrote_at",
    )

    def __init__(self, client: MailClient, user: str, sub: int, request: Subscribe) -> None:
        self.client = client
        self.user = user
        self.sub = sub
        self.request: Subscribe | None = request
        self.feed = PersonalFeed(None)
        self.partition = 0
        self.recreated = False
        self.is_paused = False
        self.is_ended = False
        self.late_at = 0.0
        self.look_at = 0.0
        self.wrote_at = float("-inf")
        self.stale_since: float | None = None

    @property
    def can_take(self) -> bool:
        return not (self.is_paused or self.client.is_congested)


class Mail:
    """All of a node's `@me`.

    ``is_known`` says whether the registry has a connection; ``second_look`` (seconds) is how long after that a router may
    still not know where its user is. ``traces`` make a span of each sampled letter that the inbox brings.
    """

    def __init__(
        self,
        mailboxes_of: Callable[[str], Mailboxes],
        *,
        loop: asyncio.AbstractEventLoop,
        new_sub: Callable[[], int],
        is_known: Callable[[str], bool],
        second_look: float,
        limits: Limits,
        instruments: Instruments,
        traces: EventTraces | None = None,
    ) -> None:
        self._traces = traces
        self._mailboxes_of = mailboxes_of
        self._mailboxes: Mailboxes | None = None
        self._topic: UserTopic | None = None
        self._loop = loop
        self._new_sub = new_sub
        self._is_known = is_known
        self._second_look = second_look
        self._limits = limits
        self._instruments = instruments
        self._by_user: dict[str, dict[MailSubscription, None]] = {}
        self._subs: dict[str, int] = {}
        self._reads = asyncio.Semaphore(_READS)
        self._tasks: set[asyncio.Task[None]] = set()

    # Requests

    def subscribe(self, client: MailClient, request: Subscribe) -> None:
        """Answered once the mailbox was read; raises ``ProtocolError``."""
        identity = client.identity
        if identity is None:
            raise _fault(
                request.id, ErrorCode.FORBIDDEN, "@me is a user's own: say hello with a token"
            )
        if request.mode not in (None, Mode.EVERY):
            raise _fault(request.id, ErrorCode.UNSUPPORTED, "@me is delivered in mode every")
        if client.mail is not None:
            raise _fault(
                request.id, ErrorCode.ALREADY_SUBSCRIBED, "this connection has @me already"
            )
        user = identity.user
        members = self._by_user.setdefault(user, {})
        sub = self._subs.get(user) or self._subs.setdefault(user, self._new_sub())
        subscription = MailSubscription(client, user, sub, request)
        subscription.late_at = self._loop.time() + self._limits.live_timeout
        subscription.look_at = self._loop.time() + _POLL
        members[subscription] = None
        client.mail = subscription
        self._instruments.subscriptions.inc()
        if self._topic is not None:
            self._begin(subscription, self._topic)

    def update(self, client: MailClient, request: UpdateSubscription) -> None:
        """Pause or go on; there is no rate to change."""
        subscription = self._of(client, request.sub, request.id)
        if request.paused is not None:
            subscription.is_paused = request.paused
            subscription.feed.look()
        at = subscription.feed.position
        self._say_subscribed(subscription, request.id, Recovered.EXACT, at)
        self._read_soon(subscription)

    def unsubscribe(self, client: MailClient, request: Unsubscribe) -> None:
        subscription = self._of(client, request.sub, request.id)
        self._end(subscription)
        reply = encode_unsubscribed(
            request.id, sub=request.sub, code="requested", reason="the client unsubscribed"
        )
        client.write(text_frame(reply))

    def drop(self, client: MailClient) -> None:
        """The connection has ended."""
        if client.mail is not None:
            self._end(client.mail)

    def drained(self, client: MailClient) -> None:
        """The socket has taken what was unsent."""
        if client.mail is not None:
            self._read_soon(client.mail)

    # What the other parts tell

    def topic_learned(self, topic: UserTopic) -> None:
        """The targeted topic is there, or is another one now: everybody begins anew."""
        self._topic = topic
        self._mailboxes = self._mailboxes_of(topic.epoch)
        for subscription in list(self._everybody()):
            self._begin(subscription, topic)

    def deliver(self, letter: Letter, event: SampledEvent | None = None) -> None:
        """A letter from the inbox, to all connections of its user; ``event`` where it is sampled."""
        members = self._by_user.get(letter.user)
        if not members:
            self._instruments.letter("nobody")
            return
        if letter.expires_at_ms <= time.time() * 1000:
            self._instruments.letter("expired")
            return
        frame: bytes | None = None
        push: PushSpan | None = None
        reached = 0
        for subscription in members:
            if subscription.request is not None:
                subscription.feed.look()
                continue
            taken = subscription.feed.offer(letter, can_take=subscription.can_take)
            if taken is not None:
                if frame is None:  # the connections of a user share their number
                    push = self.begin_push(event)
                    frame = self._frame(subscription, taken, push)
                self._write(subscription, frame, 1)
                self._instruments.letter("inbox")
                reached += 1
            else:
                self._read_soon(subscription)
        if push is not None:
            push.end(reached)

    def begin_push(self, event: SampledEvent | None) -> PushSpan | None:
        """One event is about to be written; None where it is not traced."""
        if event is None or self._traces is None:
            return None
        return self._traces.push([event], DESTINATION, FlushSize(1, 0))

    def push(
        self, client: MailClient | None, push: Push, span: PushSpan | None = None
    ) -> PushOutcome:
        """Write an event that stands in no topic; it moves no position."""
        subscription = None if client is None else client.mail
        if subscription is None or subscription.user != push.user:
            return PushOutcome.OFFLINE
        if subscription.request is not None or not subscription.can_take:
            return PushOutcome.LIMITED
        place = (subscription.partition, NO_OFFSET)
        event = encode_message(push.id, push.id, push.data, push.ts_ms, place)
        stay = self._position(subscription, None)
        traceparent = None if span is None else span.traceparent
        updates = encode_updates(
            subscription.sub, stay, [event], coalesced=0, traceparent=traceparent
        )
        self._write(subscription, text_frame(updates), 1)
        self._instruments.letter("push")
        return PushOutcome.DELIVERED

    def known(self, clients: Iterable[MailClient]) -> None:
        """The registry has these connections from now on: look now, and when no router can be ignorant any more."""
        now = self._loop.time()
        for client in clients:
            if client.mail is not None:
                client.mail.look_at = now + self._second_look
                client.mail.feed.look()
                self._read_soon(client.mail)

    def look(self) -> None:
        """Letters may have been missed: read all mailboxes, in the next seconds."""
        now = self._loop.time()
        for subscription in self._everybody():
            subscription.look_at = now + _POLL * random.random()  # noqa: S311 - jitter

    async def run(self) -> None:
        """Look where it is time to, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_TICK)
                now = self._loop.time()
                for subscription in list(self._everybody()):
                    self._tick(subscription, now)
        finally:
            for task in self._tasks:
                task.cancel()

    # Steps

    def _tick(self, subscription: MailSubscription, now: float) -> None:
        if subscription.request is not None and now >= subscription.late_at:
            self._refuse(subscription)
            return
        if now < subscription.look_at:
            return
        is_known = self._is_known(subscription.client.id)
        subscription.look_at = float("inf") if is_known else now + _POLL
        subscription.feed.look()
        self._read_soon(subscription)

    def _begin(self, subscription: MailSubscription, topic: UserTopic) -> None:
        subscription.partition = topic.partition_of(subscription.user)
        request = subscription.request
        if request is None:  # the topic was recreated under it
            subscription.feed = PersonalFeed(None)
            subscription.recreated = True
        else:
            since = request.since
            subscription.recreated = since is not None and since.epoch != topic.epoch
            offset = None
            if since is not None and not subscription.recreated:
                offset = since.offsets.get(subscription.partition, 0)
            is_whole = request.snapshot or since is not None
            subscription.feed = PersonalFeed(offset, snapshot=is_whole)
        self._read_soon(subscription)

    def _read_soon(self, subscription: MailSubscription) -> None:
        feed = subscription.feed
        is_possible = self._topic is not None and not subscription.is_ended
        if is_possible and feed.needs_read and not feed.is_reading and subscription.can_take:
            after = feed.begin_read()
            task = self._loop.create_task(self._read(subscription, feed, after))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, subscription: MailSubscription, feed: PersonalFeed, after: int) -> None:
        mailboxes = self._mailboxes
        assert mailboxes is not None
        try:
            async with self._reads:
                page = await mailboxes.read(subscription.user, after, limit=_PAGE)
        except StoreUnavailableError as error:
            self._instruments.mailbox_read("failed")
            _log.warning("mailbox cannot be read", error=str(error))
            await asyncio.sleep(random.uniform(_RETRY / 2, _RETRY))  # noqa: S311 - jitter
            feed.fail_read()
            if feed is subscription.feed:
                self._went_stale(subscription)
        else:
            self._instruments.mailbox_read("ok")
            if feed is subscription.feed and not subscription.is_ended:
                self._take_page(subscription, page)
        self._read_soon(subscription)

    def _take_page(self, subscription: MailSubscription, page: Page) -> None:
        feed, request = subscription.feed, subscription.request
        at = feed.position_at(page)
        is_whole = subscription.can_take
        parts = list(feed.end_read(page, can_take=is_whole))
        if not is_whole:
            return
        if request is not None:
            first = parts[0].gap if parts else None
            self._answer(subscription, request, at, first)
            if parts:
                parts[0] = parts[0]._replace(gap=None)
        elif subscription.recreated:
            self._tell_gap(subscription, (0, at), GapReason.RECREATED)
        subscription.recreated = False
        self._came_back(subscription)
        for gap, letters, position in parts:
            if gap is not None:
                self._tell_gap(subscription, gap, _reason_of(gap))
            if letters:
                frames = self._frames(subscription, letters, position)
                self._write(subscription, frames, len(letters))
                self._instruments.letter("mailbox", len(letters))

    def _answer(
        self,
        subscription: MailSubscription,
        request: Subscribe,
        at: int,
        gap: tuple[int, int] | None,
    ) -> None:
        subscription.request = None
        recovered, reason = Recovered.EXACT, None
        if subscription.recreated:
            recovered, reason = Recovered.GAP, GapReason.RECREATED
        elif gap is not None:
            recovered, reason, at = Recovered.GAP, _reason_of(gap), gap[1]
        elif request.since is None:
            recovered = Recovered.NONE
        if request.since is not None:
            source = Source.LOST if recovered is Recovered.GAP else Source.MAILBOX
            self._instruments.resumed(recovered, source)
        self._say_subscribed(subscription, request.id, recovered, at, gap=gap, reason=reason)

    def _say_subscribed(
        self,
        subscription: MailSubscription,
        request_id: int | None,
        recovered: Recovered,
        at: int,
        *,
        gap: tuple[int, int] | None = None,
        reason: GapReason | None = None,
    ) -> None:
        reply = encode_subscribed(
            request_id,
            sub=subscription.sub,
            channel=CHANNEL,
            mode=Mode.EVERY,
            interval_ms=0,
            position=self._position(subscription, at),
            recovered=recovered,
            gap=None if gap is None else {subscription.partition: gap},
            reason=reason,
        )
        subscription.client.write(text_frame(reply))

    def _tell_gap(
        self, subscription: MailSubscription, gap: tuple[int, int], reason: GapReason
    ) -> None:
        told = encode_gap(subscription.sub, {subscription.partition: gap}, reason)
        subscription.client.write(text_frame(told))

    def _frame(
        self, subscription: MailSubscription, letter: Letter, push: PushSpan | None
    ) -> bytes:
        """Of a single letter, which is always one frame."""
        position = self._position(subscription, letter.offset + 1 if letter.is_kept else None)
        traceparent = None if push is None else push.traceparent
        most, batch = self._limits.max_frame_out, Batch([event_of(letter)], 0)
        frame = one_frame(subscription.sub, position, batch, most, traceparent)
        assert frame is not None
        return frame

    def _frames(
        self, subscription: MailSubscription, letters: Iterable[Letter], at: int | None
    ) -> bytes:
        position = self._position(subscription, at)
        batch = Batch([event_of(letter) for letter in letters], 0)
        return b"".join(
            updates_frames(subscription.sub, position, batch, self._limits.max_frame_out)
        )

    def _write(self, subscription: MailSubscription, frames: bytes, events: int) -> None:
        subscription.wrote_at = self._loop.time()
        subscription.client.write(frames)
        self._instruments.delivered(1, events, len(frames))

    def _position(self, subscription: MailSubscription, at: int | None) -> Position:
        """None moves nothing."""
        assert self._topic is not None
        return Position(self._topic.epoch, {} if at is None else {subscription.partition: at})

    def _went_stale(self, subscription: MailSubscription) -> None:
        if subscription.stale_since is None and subscription.request is None:
            subscription.stale_since = self._loop.time()
            self._say_status(subscription, FeedState.STALE)

    def _came_back(self, subscription: MailSubscription) -> None:
        if subscription.stale_since is not None:
            subscription.stale_since = None
            self._say_status(subscription, FeedState.LIVE)

    def _say_status(self, subscription: MailSubscription, state: FeedState) -> None:
        told = encode_status(subscription.sub, state, 0)
        subscription.client.write(text_frame(told))

    def _refuse(self, subscription: MailSubscription) -> None:
        """The mailbox could not be read in time."""
        request = subscription.request
        assert request is not None
        self._end(subscription)
        fault = ProtocolError(
            ErrorCode.UNAVAILABLE,
            "messages to users cannot be read now",
            request_id=request.id,
            retry_after_ms=_RETRY_AFTER_MS,
        )
        self._instruments.error(fault.code)
        subscription.client.write(text_frame(encode_error(fault)))

    def _of(self, client: MailClient, sub: int, request_id: int | None) -> MailSubscription:
        subscription = client.mail
        if subscription is None or subscription.sub != sub or subscription.request is not None:
            raise _fault(
                request_id, ErrorCode.BAD_REQUEST, f"this connection has no subscription {sub}"
            )
        return subscription

    def _end(self, subscription: MailSubscription) -> None:
        subscription.is_ended = True
        subscription.client.mail = None
        members = self._by_user[subscription.user]
        del members[subscription]
        if not members:
            del self._by_user[subscription.user]
            del self._subs[subscription.user]
        self._instruments.subscriptions.dec()

    def _everybody(self) -> Iterable[MailSubscription]:
        return (s for members in list(self._by_user.values()) for s in list(members))


def _reason_of(gap: tuple[int, int]) -> GapReason:
    return GapReason.TRUNCATED if gap[1] < gap[0] else GapReason.RETENTION


def _fault(request_id: int | None, code: ErrorCode, message: str) -> ProtocolError:
    return ProtocolError(code, message, request_id=request_id)
