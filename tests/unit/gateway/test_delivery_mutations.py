"""The state machine of the delivery finds bugs: each of these, put in on purpose, fails it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tidewire.protocol.positions import Position
from tidewire_gateway import answers, fanout
from tidewire_gateway.core import recovery
from tidewire_gateway.core.backlog import Backlog, Piece
from tidewire_gateway.core.coalescing import Batch, LatestWindow
from tidewire_gateway.core.events import Event
from tidewire_gateway.core.feeds import Feed, Flush
from tidewire_gateway.core.outbox import one_frame, updates_frames
from tidewire_gateway.core.partition_log import PartitionLog
from tidewire_gateway.core.snapshots import Snapshot
from tidewire_gateway.core.subscriptions import Subscription
from tidewire_gateway.fanout import Fanout
from unit.gateway.test_delivery_machine import DeliveryMachine, RecreatedTopicMachine

# The same examples every time, and none made smaller: that one fails is all that is asked.
SEARCH = settings(
    max_examples=500,
    stateful_step_count=20,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    deadline=None,
)

Patch = pytest.MonkeyPatch


def one_further(offsets: Mapping[int, int]) -> dict[int, int]:
    return {partition: offset + 1 for partition, offset in offsets.items()}


def position_in_the_first_frame(patch: Patch) -> None:
    def frames(sub: int, position: Position, batch: Batch, max_bytes: int) -> list[bytes]:
        stay = Position(position.epoch, {})
        head = updates_frames(sub, position, Batch((), 0), max_bytes)
        return [*head, *updates_frames(sub, stay, batch, max_bytes)]

    def frame(
        sub: int, position: Position, batch: Batch, max_bytes: int, _traceparent: str | None
    ) -> bytes | None:
        is_one = one_frame(sub, position, batch, max_bytes) is not None
        return b"".join(frames(sub, position, batch, max_bytes)) if is_one else None

    patch.setattr(answers, "updates_frames", frames)
    patch.setattr(fanout, "one_frame", frame)


def flush_claims_more_than_was_read(patch: Patch) -> None:
    take_flush = Feed.take_flush

    def take(feed: Feed, now: float) -> Flush:
        flush = take_flush(feed, now)
        further = Position(flush.position.epoch, one_further(flush.position.offsets))
        return flush._replace(position=further)

    patch.setattr(Feed, "take_flush", take)


def shared_frame_goes_to_the_detached(patch: Patch) -> None:
    begin = fanout._Job.__init__

    def init(job: Any, feed: Feed, *rest: Any, **named: Any) -> None:
        begin(job, feed, *rest, **named)
        job.waiting = iter(list(feed.members()))

    def write_if_it_can_take_it(job: Any, subscriptions: Iterable[Subscription]) -> int:
        seen = 0
        for seen, subscription in enumerate(subscriptions, 1):  # noqa: B007 - their number is the answer
            if subscription.receiver.is_congested:
                write(job, [subscription])
            else:
                subscription.receiver.write(job.data)
        return seen

    write = fanout._Job.write

    patch.setattr(fanout._Job, "__init__", init)
    patch.setattr(fanout._Job, "write", write_if_it_can_take_it)


def slow_subscription_stands_after_the_flush_it_missed(patch: Patch) -> None:
    begin = fanout._Job.__init__

    def init(job: Any, feed: Feed, *rest: Any, **named: Any) -> None:
        begin(job, feed, *rest, **named)
        job.prior = feed.sent_position()

    patch.setattr(fanout._Job, "__init__", init)


def window_drops_an_entity(patch: Patch) -> None:
    take_batch = LatestWindow.take_batch

    def take(window: LatestWindow) -> Batch:
        batch = take_batch(window)
        return Batch(batch.events[1:], batch.coalesced) if len(batch.events) > 1 else batch

    patch.setattr(LatestWindow, "take_batch", take)


def window_keeps_the_older_value(patch: Patch) -> None:
    def offer(window: LatestWindow, event: Event) -> bool:
        window._newest.setdefault(event.entity, event)
        window._offered += 1
        return False

    patch.setattr(LatestWindow, "offer", offer)


def changes_lack_removals(patch: Patch) -> None:
    changed_since = PartitionLog.changed_since

    def changed(log: PartitionLog, offset: int, group: str | None) -> list[Event]:
        return [event for event in changed_since(log, offset, group) if not event.deleted]

    patch.setattr(PartitionLog, "changed_since", changed)


def changes_forget_that_an_entity_moved_to_the_end(patch: Patch) -> None:
    def in_order_of_birth(log: PartitionLog, offset: int, group: str | None) -> list[Event]:
        found = []
        for entities in log._groups(group):
            for event in sorted(entities.values(), key=lambda e: e.entity):
                if event.offset < offset:
                    break
                found.append(event)
        return sorted(found, key=lambda e: e.offset)

    patch.setattr(PartitionLog, "changed_since", in_order_of_birth)


def changes_begin_one_too_late(patch: Patch) -> None:
    changed_since = PartitionLog.changed_since

    def changed(log: PartitionLog, offset: int, group: str | None) -> list[Event]:
        return changed_since(log, offset + 1, group)

    patch.setattr(PartitionLog, "changed_since", changed)


def snapshot_claims_one_too_much(patch: Patch) -> None:
    begin = Snapshot.__init__

    def init(snapshot: Snapshot, sub: int, position: Position, *rest: Any, **options: Any) -> None:
        further = replace(position, offsets=one_further(position.offsets))
        begin(snapshot, sub, further, *rest, **options)

    patch.setattr(Snapshot, "__init__", init)


def newcomer_misses_the_event_at_its_position(patch: Patch) -> None:
    def after(events: Iterable[Event], offsets: Mapping[int, int]) -> list[Event]:
        return [e for e in events if e.offset > offsets.get(e.partition, 0)]

    patch.setattr(fanout, "events_at_or_after", after)


def what_is_on_its_way_is_forgotten_on_leaving(patch: Patch) -> None:
    def settle(self: Fanout, subscription: Subscription) -> None:
        return

    patch.setattr(Fanout, "settle", settle)


def piece_ends_one_too_far(patch: Patch) -> None:
    piece = Backlog.piece

    def further(backlog: Backlog, offsets: Mapping[int, int], max_bytes: int) -> Piece:
        whole = piece(backlog, offsets, max_bytes)
        cut = {p: o + (o < backlog.end[p]) for p, o in whole.moved.items()}
        return Piece(whole.events, cut)

    patch.setattr(Backlog, "piece", further)


def backfill_claims_what_it_has_not_read_yet(patch: Patch) -> None:
    events_from = PartitionLog.events_from

    def events(log: PartitionLog, offset: int, group: str | None) -> tuple[Sequence[Event], int]:
        found, _ = events_from(log, offset, group)
        return found, log.next_offset

    patch.setattr(PartitionLog, "events_from", events)


def recreated_topic_counts_as_the_same(patch: Patch) -> None:
    missed = recovery._missed

    def same(feed: Feed, since: Position, reach_back: int) -> Any:
        return missed(feed, Position(feed.topology.epoch, since.offsets), reach_back)

    patch.setattr(recovery, "_missed", same)


def node_that_reads_behind_calls_it_truncated(patch: Patch) -> None:
    patch.setattr(Feed, "is_behind", lambda feed, position: False)


@pytest.mark.parametrize(
    "bug",
    [
        position_in_the_first_frame,
        flush_claims_more_than_was_read,
        shared_frame_goes_to_the_detached,
        slow_subscription_stands_after_the_flush_it_missed,
        window_drops_an_entity,
        window_keeps_the_older_value,
        changes_lack_removals,
        changes_forget_that_an_entity_moved_to_the_end,
        changes_begin_one_too_late,
        snapshot_claims_one_too_much,
        newcomer_misses_the_event_at_its_position,
        what_is_on_its_way_is_forgotten_on_leaving,
        piece_ends_one_too_far,
        backfill_claims_what_it_has_not_read_yet,
        node_that_reads_behind_calls_it_truncated,
    ],
)
def test_machine_finds(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(DeliveryMachine, settings=SEARCH)


def test_machine_finds_that_a_recreated_topic_counts_as_the_same(monkeypatch: Patch) -> None:
    recreated_topic_counts_as_the_same(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(RecreatedTopicMachine, settings=SEARCH)


@pytest.mark.parametrize("machine", [DeliveryMachine, RecreatedTopicMachine])
def test_machine_finds_nothing_where_nothing_is_wrong(machine: type[DeliveryMachine]) -> None:
    """Otherwise the above would find anything at all."""
    run_state_machine_as_test(machine, settings=settings(SEARCH, max_examples=30))
