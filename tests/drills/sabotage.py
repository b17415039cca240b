"""A gateway or router with one protection turned off: ``python -m drills.sabotage NAME``, told like the real one.

Each sabotage changes the program before it serves; none is in the program itself.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from tidewire.kafka.records import Record, TopicPartition
from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Lease

__all__ = ["SABOTAGES", "main"]

FORGET_AFTER = 0.1
COMMITTED_AHEAD = 1.0
KEPT_BYTES = 128


def silent_outage() -> None:
    """Nobody is told that the broker is away."""
    from tidewire_gateway.delivery import Delivery

    Delivery.connected = lambda self, is_connected: None  # type: ignore[method-assign] # the sabotage


def eager_assignment() -> None:
    """The assignment changes as often as demand does."""
    from tidewire_gateway import reader

    reader._CHANGE_INTERVAL = 0.0


def hasty_drain() -> None:
    """Every client is told to move, and closed, in the first moment of the window."""
    from tidewire_gateway import drain
    from tidewire_gateway.core.draining import Departure

    def at_once(count: int, window: float) -> Iterator[Departure]:
        return iter([Departure(0.0, 0.01 * window)] * count)

    drain.departures = at_once  # type: ignore[attr-defined] # the sabotage


def no_coalescing() -> None:
    """A feed flushes at once, whatever its interval."""
    from tidewire_gateway.core.feeds import Feed

    Feed.interval = property(lambda self: 0.0)  # type: ignore[method-assign, assignment] # the sabotage


def unwatched_topics() -> None:
    """What a topic is was learnt once; it is never another one afterwards."""
    from tidewire_gateway.topologies import Topologies

    Topologies._change = lambda *args: None  # type: ignore[method-assign] # the sabotage


def no_sharing() -> None:
    """What a backfill has read is forgotten soon after those who asked for it were told."""
    from tidewire_gateway.backfills import Backfills

    fly = Backfills._fly

    async def fly_and_forget(self: Backfills, wanted: Mapping[TopicPartition, int]) -> None:
        await fly(self, wanted)
        await asyncio.sleep(FORGET_AFTER)
        self._let_go(0)

    Backfills._fly = fly_and_forget  # type: ignore[method-assign] # the sabotage


def no_prev_check() -> None:
    """A letter from the inbox is delivered whatever should have come before it."""
    from tidewire_gateway.core.personal_feed import PersonalFeed

    offer = PersonalFeed.offer

    def take(self: PersonalFeed, letter: Letter, *, can_take: bool) -> Letter | None:
        return offer(self, letter._replace(prev=None), can_take=can_take)

    PersonalFeed.offer = take  # type: ignore[method-assign] # the sabotage


def no_epoch_check() -> None:
    """Whatever stands in the inbox is delivered, for whichever holder it was written."""
    from tidewire_gateway.core.lease_clock import LeaseClock

    LeaseClock.accepts = lambda self, epoch, now: True  # type: ignore[method-assign] # the sabotage


def announced_once() -> None:
    """A new lease is no reason to tell the registry again who is here."""
    from tidewire_gateway.core.announcements import Announcements

    Announcements.forget = lambda self: None  # type: ignore[method-assign] # the sabotage


def no_second_look() -> None:
    """A mailbox is read once when its connection is known, and where the inbox shows a hole."""
    from tidewire_gateway.targeted.mail import Mail, MailSubscription

    def look_never(self: Mail, subscription: MailSubscription, now: float) -> None:
        if subscription.request is not None and now >= subscription.late_at:
            self._refuse(subscription)

    Mail._tick = look_never  # type: ignore[method-assign] # the sabotage


def wall_clock_leases() -> None:
    """A lease ends when the wall clock says so."""
    from tidewire_gateway.core.lease_clock import LeaseClock

    granted, renewed, is_held = LeaseClock.granted, LeaseClock.renewed, LeaseClock.is_held

    def grant(self: LeaseClock, lease: Lease, sent_at: float) -> None:
        granted(self, lease, time.time())

    def renew(self: LeaseClock, lease_ms: int, sent_at: float, now: float) -> bool:
        return renewed(self, lease_ms, time.time(), time.time())

    LeaseClock.granted = grant  # type: ignore[method-assign] # the sabotage
    LeaseClock.renewed = renew  # type: ignore[method-assign] # the sabotage
    LeaseClock.is_held = lambda self, now: is_held(self, time.time())  # type: ignore[method-assign] # the sabotage


def halting_records() -> None:
    """Nothing of a partition is taken after a record that is no event."""
    from tidewire_gateway.core.decoding import Decoder, Rejected, RejectReason
    from tidewire_gateway.core.events import Event

    decode = Decoder.decode
    halted: set[tuple[str, int]] = set()

    def decode_or_halt(self: Decoder, record: Record) -> Event:
        place = record.topic, record.partition
        try:
            event = decode(self, record)
        except Rejected:
            halted.add(place)
            raise
        if place in halted:
            raise Rejected(RejectReason.NOT_JSON)
        return event

    Decoder.decode = decode_or_halt  # type: ignore[method-assign] # the sabotage


def credulous() -> None:
    """A revoked token is as good as any, and the identity provider is asked for every key that nobody knows."""
    from tidewire.identity.jwks_state import JwksState, Verdict
    from tidewire.revocation.reading import RevocationReader

    RevocationReader.check = lambda self, identity: None  # type: ignore[method-assign] # the sabotage
    RevocationReader.is_revoked = lambda self, identity: False  # type: ignore[method-assign] # the sabotage
    look_up = JwksState.look_up

    def look_up_anew(self: JwksState, name: str | None, now: float) -> Verdict:
        self._times = replace(self._times, cooldown=0.0)
        return look_up(self, name, now)

    JwksState.look_up = look_up_anew  # type: ignore[method-assign] # the sabotage


def no_farewell() -> None:
    """A connection that has ended is not forgotten."""
    from tidewire_gateway.node import Node

    Node.closed = lambda *args: None  # type: ignore[method-assign] # the sabotage


def hoarding() -> None:
    """A little is kept of whatever goes out to a connection, and a descriptor of every one that has ended."""
    from tidewire_gateway.connection import Connection
    from tidewire_gateway.instruments import Instruments
    from tidewire_gateway.node import Node

    delivered, closed = Instruments.delivered, Node.closed
    kept: list[bytearray] = []

    def deliver_and_keep(self: Instruments, connections: int, events: int, size: int) -> None:
        kept.append(bytearray(connections * KEPT_BYTES))
        delivered(self, connections, events, size)

    def close_and_keep(self: Node, connection: Connection, code: int) -> None:
        os.open(os.devnull, os.O_RDONLY)
        closed(self, connection, code)

    Instruments.delivered = deliver_and_keep  # type: ignore[method-assign] # the sabotage
    Node.closed = close_and_keep  # type: ignore[method-assign] # the sabotage


def hasty_return() -> None:
    """Whoever is refused is told to come back in a second."""
    from tidewire_gateway import endpoint

    endpoint._retry_after = lambda *args: 1


def hasty_commits() -> None:
    """What was read is committed, and written to mailboxes and inboxes a second later."""
    from tidewire_router.core.partition import PartitionWork
    from tidewire_router.lane import Chunk, Lane

    route = Lane._route

    async def settle_first(self: Lane, batch: Chunk) -> None:
        self.work._settled = batch.next_offset
        self._parts.on_settled()
        await asyncio.sleep(COMMITTED_AHEAD)
        await route(self, batch)

    Lane._route = settle_first  # type: ignore[method-assign] # the sabotage
    PartitionWork.watermark = property(lambda self: self._settled)  # type: ignore[method-assign, assignment] # the sabotage


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        silent_outage,
        eager_assignment,
        hasty_drain,
        no_coalescing,
        no_sharing,
        unwatched_topics,
        no_prev_check,
        no_epoch_check,
        announced_once,
        no_second_look,
        wall_clock_leases,
        halting_records,
        credulous,
        no_farewell,
        hoarding,
        hasty_return,
        hasty_commits,
    )
}
OF_ROUTERS = frozenset({"hasty_commits"})


def main(name: str) -> int:
    if name in OF_ROUTERS:
        from tidewire_router.__main__ import main as serve
    else:
        from tidewire_gateway.__main__ import main as serve
    SABOTAGES[name]()
    return serve()


if __name__ == "__main__":
    asked = sys.argv.pop()
    sys.exit(main(asked))
