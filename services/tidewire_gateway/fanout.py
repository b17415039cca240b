"""Flush feeds when they are due and write each frame to everybody, in slices of the event loop.

A frame is built once; writing it is one call per connection, with no task, queue or await beside it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from .core.coalescing import Batch
from .core.events import Event
from .core.feeds import Feed, Flush, Urgency, events_at_or_after
from .core.outbox import one_frame
from .core.subscriptions import Subscription, SubscriptionState
from .instruments import Instruments
from .timers import Handle, Timers
from .traces import Destination, EventTraces, FlushSize, Push

__all__ = ["Fanout"]

_SLICE = 200
"""Connections written to before the loop may do something else: 1,000 writes hold it for 5 ms."""

_FLUSHES = 50
"""Feeds flushed in a turn of the loop: encoding a batch costs tens of microseconds."""


class _Job:
    """One flush on its way to those who were attached when it was taken, ``at`` a time."""

    __slots__ = (
        "at",
        "data",
        "events",
        "feed",
        "prior",
        "push",
        "reached",
        "sequence",
        "waiting",
    )

    def __init__(
        self, feed: Feed, flush: Flush, frame: bytes, push: Push | None, *, at: float
    ) -> None:
        self.at = at
        self.push = push
        self.feed = feed
        self.data = frame
        self.events = len(flush.batch.events)
        self.prior = flush.prior
        self.sequence = flush.sequence
        self.waiting = iter(list(feed.attached))
        self.reached = 0

    def write(self, subscriptions: Iterable[Subscription]) -> int:
        """Write the flush to those who have not left or got it; who is behind is detached. Returns how many were seen."""
        data, sequence = self.data, self.sequence
        seen = reached = 0
        for subscription in subscriptions:
            seen += 1
            if subscription.sequence >= sequence:
                continue
            receiver = subscription.receiver
            if receiver.is_congested:
                subscription.behind_since = self.at
                self.feed.detach(subscription, SubscriptionState.LAGGING, self.prior)
                continue
            subscription.sequence = sequence
            write = (
                receiver.write
            )  # an attribute, not a method: looked up by itself it is found at once
            write(data)
            reached += 1
        self.reached += reached
        return seen


class Fanout:
    """Schedules flushes and carries them out. ``max_frame`` is in bytes, ``most_writes`` is for one turn of the loop.

    A flush that fits into one frame goes out at once. Of a larger one nobody is written more than its socket
    takes: they are detached where they stood, and ``hand_out`` has them caught up piece by piece. ``traces`` are
    told of the flushes that carry sampled events; None where there are none of these.
    """

    hand_out: Callable[[Iterable[Subscription]], None]

    def __init__(
        self,
        timers: Timers,
        instruments: Instruments,
        *,
        max_frame: int,
        most_writes: int = _SLICE,
        traces: EventTraces | None = None,
    ) -> None:
        self._traces = traces
        self._timers = timers
        self._instruments = instruments
        self._max_frame = max_frame
        self._most_writes = most_writes
        self._due: dict[Feed, None] = {}
        self._later: dict[Feed, Handle] = {}
        self._jobs: deque[_Job] = deque()
        self._writing: Handle | None = None

    def offer(self, feed: Feed, event: Event, now: float) -> None:
        """Give an event to a feed and see to its flush; ``now`` is the timers' time."""
        urgency = feed.offer(event, now)
        if urgency is None:
            return
        if urgency is Urgency.AT_ONCE:
            self._flush(feed)
        elif urgency is Urgency.NOW:
            self._flush_this_turn(feed)
        elif urgency is Urgency.LATER:
            feed.is_scheduled = True
            self._later[feed] = self._timers.call_at(
                feed.last_flush_at + feed.interval, self._flush_this_turn, feed
            )

    def move_on(self, feed: Feed) -> None:
        """Tell those attached where they stand in partitions that they have heard nothing of yet."""
        if feed.attached and feed.has_untold:
            self._flush(feed, is_forced=True)

    def settle(self, subscription: Subscription) -> None:
        """Write what is on its way to one subscription now, before it leaves its feed."""
        if subscription.is_attached:
            for job in self._jobs:
                if job.feed is subscription.feed:
                    job.write([subscription])

    def _flush_this_turn(self, feed: Feed) -> None:
        """Flush once the records of this turn of the loop are all in: a burst shares its frame."""
        feed.is_scheduled = True
        if not self._due:
            self._timers.call_soon(self._flush_due)
        self._due[feed] = None

    def _flush_due(self) -> None:
        """Flush the feeds that are due, as many as one turn of the loop can bear, and begin to write."""
        was_idle = not self._jobs
        for feed in list(islice(self._due, _FLUSHES)):
            self._flush(feed)
        if self._due:
            self._timers.call_soon(self._flush_due)
        if was_idle and self._writing is not None:
            self._writing.cancel()
            self._write_slice()

    def _flush(self, feed: Feed, *, is_forced: bool = False) -> None:
        began_at, now = self._instruments.clock(), self._timers.time()
        self._due.pop(feed, None)
        timer = self._later.pop(feed, None)
        if timer is not None:
            timer.cancel()
        flush = feed.take_flush(now)
        if not (flush.batch.events or flush.joining or is_forced):
            return
        if feed.attached:
            push = self._push(feed, flush) if flush.sampled else None
            traceparent = trace_id = None
            if push is not None:
                traceparent, trace_id = push.traceparent, push.trace_id
            frame = one_frame(feed.sub, flush.position, flush.batch, self._max_frame, traceparent)
            if frame is not None:
                self._start(_Job(feed, flush, frame, push, at=now))
            else:
                self._hand_out(feed, flush)
                if push is not None:
                    push.end(0)
            is_aged = not feed.is_reserved
            age = self._instruments.flushed(flush.batch, began_at, trace_id, is_aged=is_aged)
            feed.oldest_at = None if age is None else now - age
        if flush.joining:
            self._let_join(feed, flush)

    def _push(self, feed: Feed, flush: Flush) -> Push | None:
        if self._traces is None:
            return None
        batch = flush.batch
        channel, mode, interval_ms = feed.key.channel, feed.key.mode, feed.key.interval_ms
        to = Destination(feed.topology.topic, channel.stream, str(channel), mode, interval_ms)
        size = FlushSize(len(batch.events), batch.coalesced, flush.sampled_before)
        return self._traces.push(flush.sampled, to, size)

    def _hand_out(self, feed: Feed, flush: Flush) -> None:
        """Detach everybody where they stood before the flush, each with what was on its way to it."""
        detached = []
        for subscription in list(feed.attached):
            self.settle(subscription)
            if subscription.is_attached:
                feed.detach(subscription, SubscriptionState.CATCHING_UP, flush.prior)
                detached.append(subscription)
        self.hand_out(detached)

    def _let_join(self, feed: Feed, flush: Flush) -> None:
        """Give each newcomer the part of the flush that its snapshot does not cover, and attach it."""
        by_position: dict[tuple[tuple[int, int], ...], list[Subscription]] = {}
        for subscription in flush.joining:
            assert subscription.standing is not None
            place = tuple(subscription.standing.offsets.items())
            by_position.setdefault(place, []).append(subscription)
        for place, newcomers in by_position.items():
            events = events_at_or_after(flush.batch.events, dict(place))
            frame = one_frame(feed.sub, feed.sent_position(), Batch(events, 0), self._max_frame)
            if frame is None:
                self._catch_up_instead(feed, newcomers)
                continue
            ready = [s for s in newcomers if not self._lags(feed, s)]
            for subscription in ready:
                subscription.receiver.write(frame)
                feed.attach(subscription)
            self._instruments.delivered(len(ready), len(events), len(frame))

    def _lags(self, feed: Feed, subscription: Subscription) -> bool:
        """Whether a newcomer's socket fell behind meanwhile; then it stays where it stands."""
        if not subscription.receiver.is_congested:
            return False
        assert subscription.standing is not None
        subscription.behind_since = self._timers.time()
        feed.detach(subscription, SubscriptionState.LAGGING, subscription.standing)
        return True

    def _catch_up_instead(self, feed: Feed, newcomers: Iterable[Subscription]) -> None:
        for subscription in newcomers:
            assert subscription.standing is not None
            feed.detach(subscription, SubscriptionState.CATCHING_UP, subscription.standing)
        self.hand_out(newcomers)

    def _start(self, job: _Job) -> None:
        self._jobs.append(job)
        self._write_soon()

    def _write_soon(self) -> None:
        if self._jobs and self._writing is None:
            self._writing = self._timers.call_soon(self._write_slice)

    def _write_slice(self) -> None:
        """Write to the next connections, of one job or of several."""
        self._writing = None
        left = self._most_writes
        while left > 0 and self._jobs:
            job = self._jobs[0]
            seen = job.write(islice(job.waiting, left))
            if seen < left:
                self._jobs.popleft()
                self._instruments.delivered(job.reached, job.events, len(job.data))
                if job.push is not None:
                    job.push.end(job.reached)
            left -= max(seen, 1)
        self._write_soon()
