"""The state machine of targeted delivery finds what is missing: each protection, taken away, fails it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from harness.virtual_processes import Flow
from harness.virtual_targeted import LENGTH
from tidewire.kafka.records import TopicPartition
from tidewire.targeting.errors import BatchOvertakenError
from tidewire.targeting.messages import Letter, Message
from tidewire.targeting.registry import Batch, Evicted, Lease, Place
from tidewire_gateway.core.announcements import Announcements
from tidewire_gateway.core.lease_clock import LeaseClock
from tidewire_gateway.core.personal_feed import PersonalFeed
from tidewire_gateway.targeted.inbox import Inbox
from tidewire_gateway.targeted.mail import Mail, MailClient
from tidewire_registry.stores.memory import MemoryStore
from tidewire_router.core.lifetimes import letter_of_message
from tidewire_router.core.lookups import LookupCache
from tidewire_router.lane import Lane
from unit.targeted.test_targeted_machine import TargetedMachine

# The same examples every time, and none made smaller: that one fails is all that is asked.
SEARCH = settings(
    max_examples=300,
    stateful_step_count=8,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    deadline=None,
)

Patch = pytest.MonkeyPatch


def no_second_look(patch: Patch) -> None:
    known = Mail.known

    def once(mail: Mail, clients: Any) -> None:
        found: list[MailClient] = list(clients)
        known(mail, found)
        for client in found:
            if client.mail is not None:
                client.mail.look_at = float("inf")

    patch.setattr(Mail, "known", once)


def prev_is_not_looked_at(patch: Patch) -> None:
    offer = PersonalFeed.offer

    def credulous(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        return offer(feed, one._replace(prev=feed.next_offset - 1), can_take=can_take)

    patch.setattr(PersonalFeed, "offer", credulous)


def epoch_is_not_looked_at(patch: Patch) -> None:
    patch.setattr(LeaseClock, "accepts", lambda clock, _epoch, now: clock.is_held(now))


def lease_without_end(patch: Patch) -> None:
    patch.setattr(
        LeaseClock,
        "accepts",
        lambda clock, epoch, _now: clock.lease is not None and clock.lease.epoch == epoch,
    )


def lease_counts_from_the_answer(patch: Patch) -> None:
    granted, renewed = LeaseClock.granted, LeaseClock.renewed

    def at_answer(clock: LeaseClock, lease: Lease, sent_at: float) -> None:
        granted(clock, lease, asyncio.get_running_loop().time())

    patch.setattr(LeaseClock, "granted", at_answer)
    patch.setattr(
        LeaseClock,
        "renewed",
        lambda clock, lease_ms, _sent_at, now: renewed(clock, lease_ms, now, now),
    )


def slot_is_read_from_wherever_its_end_is_at_the_first_read(patch: Patch) -> None:
    async def assign(inbox: Any, partition: TopicPartition) -> None:
        await inbox._reader.assign({})
        await inbox._reader.assign({partition: -1})
        inbox._partition = partition

    patch.setattr(Inbox, "_assign", assign)


def nobody_is_announced_again(patch: Patch) -> None:
    def forget(announcements: Any) -> None:
        announcements._in_flight = None

    patch.setattr(Announcements, "forget", forget)


def mailbox_is_written_after_the_inbox(patch: Patch) -> None:
    see_to = Lane._see_to

    async def kept(lane: Any, messages: Sequence[Message]) -> list[Letter]:
        lane.late = messages
        return [letter_of_message(m, None, lane._parts.ttl_ms) for m in messages]

    async def route(lane: Any, letters: Sequence[Letter], next_offset: int | None) -> None:
        await see_to(lane, letters, next_offset)
        if messages := lane.__dict__.pop("late", None):
            await lane._attempts.store(lambda: lane._parts.mailboxes.append(messages))

    patch.setattr(Lane, "_kept", kept)
    patch.setattr(Lane, "_see_to", route)


def duplicates_are_written(patch: Patch) -> None:
    offer = PersonalFeed.offer

    def twice(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        is_double = can_take and one.offset < feed.next_offset
        return one if is_double else offer(feed, one, can_take=can_take)

    patch.setattr(PersonalFeed, "offer", twice)


def lookups_are_believed_for_ever(patch: Patch) -> None:
    def fresh(cache: LookupCache, user: str, _now: float) -> Sequence[Place] | None:
        return cache.last(user)

    patch.setattr(LookupCache, "fresh", fresh)


def trimmed_letters_are_not_told(patch: Patch) -> None:
    end_read = PersonalFeed.end_read

    def silent(feed: PersonalFeed, page: Any, *, can_take: bool = True) -> Any:
        return end_read(feed, page._replace(floor=-1), can_take=can_take)

    patch.setattr(PersonalFeed, "end_read", silent)


def lost_mailboxes_are_not_told(patch: Patch) -> None:
    end_read = PersonalFeed.end_read

    def silent(feed: PersonalFeed, page: Any, *, can_take: bool = True) -> Any:
        had_all = feed.next_offset - 1
        return end_read(
            feed, page._replace(first=None, last=page.last or had_all), can_take=can_take
        )

    patch.setattr(PersonalFeed, "end_read", silent)


def letters_for_a_slow_socket_count_as_written(patch: Patch) -> None:
    offer = PersonalFeed.offer

    def dropped(feed: PersonalFeed, one: Letter, *, can_take: bool) -> Letter | None:
        taken = offer(feed, one, can_take=True)
        return taken if can_take else None

    patch.setattr(PersonalFeed, "offer", dropped)


def disconnects_are_told_once(patch: Patch) -> None:
    failed = Announcements.failed

    def forgetful(announcements: Any) -> None:
        failed(announcements)
        announcements._to_disconnect.clear()

    patch.setattr(Announcements, "failed", forgetful)


def nobody_polls_while_the_registry_is_ignorant(patch: Patch) -> None:
    tick = Mail._tick

    def once(mail: Any, subscription: Any, now: float) -> None:
        is_due = now >= subscription.look_at
        tick(mail, subscription, now)
        if is_due:
            subscription.look_at = float("inf")

    patch.setattr(Mail, "_tick", once)


def batches_are_taken_in_any_order(patch: Patch) -> None:
    announce = MemoryStore.announce

    async def unnumbered(
        store: MemoryStore, node: str, epoch: str, batch: Batch
    ) -> Sequence[Evicted]:
        return await announce(store, node, epoch, replace(batch, number=0))

    patch.setattr(MemoryStore, "announce", unnumbered)


BUGS: Sequence[Callable[[Patch], None]] = [
    no_second_look,
    epoch_is_not_looked_at,
    lease_without_end,
    lease_counts_from_the_answer,
    nobody_is_announced_again,
    duplicates_are_written,
    lookups_are_believed_for_ever,
    lost_mailboxes_are_not_told,
    letters_for_a_slow_socket_count_as_written,
    disconnects_are_told_once,
    nobody_polls_while_the_registry_is_ignorant,
    batches_are_taken_in_any_order,
]


@pytest.mark.parametrize("bug", BUGS)
def test_machine_finds(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(TargetedMachine, settings=SEARCH)


def test_machine_finds_nothing_where_nothing_is_wrong() -> None:
    """Otherwise the above would find anything at all."""
    run_state_machine_as_test(TargetedMachine, settings=settings(SEARCH, max_examples=30))


def first_letter_goes_to_where_the_user_was(machine: TargetedMachine) -> None:
    publish = ("publish", "ann", "kept")
    machine.flow([publish, ("leave", 0, False), ("wait", 2.5), ("move", 0, 1, False)])
    machine.flow([("wait", 1.0), publish, ("wait", 2.5), publish])


def mailbox_is_full_before_the_user_comes(machine: TargetedMachine) -> None:
    publish = ("publish", "ann", "kept")
    machine.flow([publish, ("leave", 0, False), *[publish] * (LENGTH + 2)])


def user_comes_while_the_mailbox_is_slow(machine: TargetedMachine) -> None:
    """It looks into the mailbox for the last time before the router can write there."""
    assert machine.world.owner is not None
    link = machine.world.owner.mailbox_link
    machine.flow([("publish", "ann", "kept"), ("leave", 0, False), ("wait", 12.0)])
    link.set(Flow.HELD)
    machine.flow([("publish", "ann", "kept"), ("move", 0, 1, False), ("wait", 12.0)])
    link.set(Flow.OPEN)
    machine.world.settle()


def connection_is_told_in_vain_and_ends(machine: TargetedMachine) -> None:
    """Its node hears nothing of the registry for long enough to tell of it twice, and keeps its lease."""
    link = machine.world.nodes[0].registry_link
    link.set(Flow.HELD)
    machine.flow([("move", 0, 0, False), ("wait", 2.5)])
    link.set(Flow.OPEN)
    machine.flow([("wait", 2.5), ("leave", 0, False), ("wait", 2.5)])
    machine.strays.arrive()


def node_is_slow_to_read_its_inbox(machine: TargetedMachine) -> None:
    machine.start_node(False, True, 12.0, [])


RARE = [
    (prev_is_not_looked_at, first_letter_goes_to_where_the_user_was),
    (trimmed_letters_are_not_told, mailbox_is_full_before_the_user_comes),
    (mailbox_is_written_after_the_inbox, user_comes_while_the_mailbox_is_slow),
    (
        slot_is_read_from_wherever_its_end_is_at_the_first_read,
        node_is_slow_to_read_its_inbox,
    ),
    (batches_are_taken_in_any_order, connection_is_told_in_vain_and_ends),
]


@pytest.mark.parametrize(("bug", "history"), RARE)
def test_history_finds(
    bug: Callable[[Patch], None],
    history: Callable[[TargetedMachine], None],
    monkeypatch: Patch,
) -> None:
    """What the machine would come to only in thousands of examples."""
    play(history)
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        play(history)


def play(history: Callable[[TargetedMachine], None]) -> None:
    machine = TargetedMachine()
    machine.begin([0, 0, 0])
    try:
        history(machine)
    finally:
        machine.teardown()


def test_nobody_is_announced_before_the_inbox_is_open() -> None:
    """Its end would be taken after letters were sent there."""
    machine = TargetedMachine()
    machine.begin([0, 0, 0])
    node = machine.world.start_node("n2")
    node.kafka_link.set(Flow.HELD)
    machine.devices[0].leave()
    machine.devices[0].connect(node)
    machine.world.advance(3.0)
    assert "n2" not in machine.world.places("ann")
    machine.teardown()


def test_late_word_of_an_old_lease_does_not_make_a_node_renew_without_a_pause() -> None:
    """It comes while the node asks for its next lease; settling would have no end."""
    machine = TargetedMachine()
    machine.begin([0, 0, 0])
    node = machine.world.start_node("n2")
    node.kafka_link.set(Flow.HELD)
    machine.world.advance(0.5)
    node.process.do(node.targeted._registration.lost)
    machine.world.settle()
    node.kafka_link.set(Flow.OPEN)
    machine.world.advance(5.0)
    assert node.is_told
    machine.teardown()


def test_node_that_was_overtaken_tells_again_after_a_pause(monkeypatch: Patch) -> None:
    """It should not happen: none of its batches is sent while another is under way."""
    announce, told = MemoryStore.announce, list[tuple[str, int]]()

    async def overtaken(
        store: MemoryStore, node: str, epoch: str, batch: Batch
    ) -> Sequence[Evicted]:
        told.append((node, batch.number))
        if len(told) <= 3:
            raise BatchOvertakenError("a later batch was taken")
        return await announce(store, node, epoch, batch)

    machine = TargetedMachine()
    machine.begin([0, 0, 0])
    monkeypatch.setattr(MemoryStore, "announce", overtaken)
    machine.move(0, 1, False)
    machine.world.advance(0.2)
    assert len(told) == 2, "the one that was left, and the one that was gone to"
    machine.world.advance(5.0)
    assert all(node.is_told for node in machine.world.nodes)
    assert len(set(told)) == len(told) == 5, "no number twice"
    machine.teardown()
