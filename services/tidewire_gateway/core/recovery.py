"""What a subscription gets for the position it stands at: everything since, a snapshot, or a named gap.

One mechanism serves resume, slow clients, pause and moves between feeds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from tidewire.protocol.codes import GapReason, Mode, Recovered
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import Gap

from .backlog import Backlog
from .events import Event
from .feeds import Feed, Topology
from .partition_log import PartitionLog

__all__ = [
    "Resumption",
    "Source",
    "backlog_of",
    "current_events",
    "not_held",
    "resume",
    "source_of",
    "start_fresh",
]


@dataclass(frozen=True, slots=True)
class Resumption:
    """``begin`` is the position that a subscription goes on from.

    With ``owes_snapshot`` a snapshot takes the place of everything the client holds; until it is complete the
    client stands nowhere, so ``begin`` is offset 0 then.
    """

    recovered: Recovered
    begin: Position
    owes_snapshot: bool = False
    gap: Gap | None = None
    reason: GapReason | None = None


class Source(StrEnum):
    """Where what a resumed subscription lacks comes from: the weightiest of them, in this order from below."""

    RING = "ring"  # the node's memory; also where nothing is lacking
    KAFKA = "kafka"  # some of it is read again
    MAILBOX = "mailbox"  # messages to a user
    LOST = "lost"  # some of it is gone


def start_fresh(feed: Feed, *, snapshot: bool) -> Resumption:
    """A subscription that resumes nothing: from here on, or in `latest` from a snapshot of here."""
    here = feed.position()
    if not snapshot or feed.key.mode is Mode.EVERY:
        return Resumption(Recovered.NONE, here)
    return Resumption(Recovered.NONE, _nothing(here), owes_snapshot=True)


def resume(feed: Feed, since: Position, *, reach_back: int) -> Resumption:
    """What ``since`` gets; what it lacks for ever is named.

    ``reach_back`` is how many offsets before its log a node reads again for mode `every`. Only for a feed
    that is live: a partition that is not open, or still loading, cannot tell what is lost.
    """
    assert feed.is_live
    missed = _missed(feed, since, reach_back)
    if missed is None:
        begin = Position(feed.topology.epoch, {p: since.offsets.get(p, 0) for p in feed.partitions})
        recovered = Recovered.EXACT if feed.key.mode is Mode.EVERY else Recovered.CHANGES
        return Resumption(recovered, begin)
    gap, reason = missed
    if feed.key.mode is Mode.LATEST and _is_table(feed):
        begin = _nothing(feed.position())
        return Resumption(Recovered.SNAPSHOT, begin, owes_snapshot=True, reason=reason)
    return Resumption(Recovered.GAP, _after(feed, since, gap), gap=gap, reason=reason)


def source_of(feed: Feed, resumption: Resumption) -> Source:
    """Where that comes from which ``resumption`` leaves to be handed over, as the node holds it now."""
    if resumption.recovered is Recovered.GAP:
        return Source.LOST
    return Source.KAFKA if not_held(feed, resumption.begin) else Source.RING


def current_events(feed: Feed) -> list[Event]:
    """A snapshot of the channel: the newest event of every entity that the node holds."""
    group = feed.key.channel.group
    topology = feed.topology
    logs = [topology.logs[p] for p in feed.partitions if p in topology.logs]
    events = list(chain.from_iterable(log.current(group) for log in logs))
    if topology.is_regrouped:
        return [event for event in events if _is_newest_anywhere(topology, event)]
    return events


def not_held(feed: Feed, standing: Position) -> dict[int, int]:
    """Partitions of which this node must read again, and from where, before `backlog_of` can be had."""
    if feed.key.mode is Mode.LATEST:
        return {}
    logs = feed.topology.logs
    offsets = {p: standing.offsets.get(p, 0) for p in feed.partitions if p in logs}
    return {p: offset for p, offset in offsets.items() if not logs[p].holds(offset)}


def backlog_of(feed: Feed, standing: Position, *, without: Collection[int] = ()) -> Backlog:
    """What one who stands at ``standing`` lacks, shared with everybody who lacks part of it.

    Empty where nothing is lacking but in the partitions ``without``: those of which that is `not_held`.
    The position must be within what `resume` allows.
    """
    if feed.backlog is not None and feed.backlog.covers(standing.offsets):
        return feed.backlog
    topology, group = feed.topology, feed.key.channel.group
    begin = _beginning(feed, standing)
    end: dict[int, int] = {}
    events: dict[int, Sequence[Event]] = {}
    for partition, offset in begin.items():
        log = topology.logs[partition]
        if partition in without:
            events[partition], end[partition] = (), offset
        elif feed.key.mode is Mode.EVERY:
            events[partition], end[partition] = log.events_from(offset, group)
        else:
            events[partition], end[partition] = log.changed_since(offset, group), log.next_offset

    def is_current(event: Event) -> bool:
        if topology.is_regrouped:
            return _is_newest_anywhere(topology, event)
        return topology.logs[event.partition].newest_of(event) is event

    is_wanted = is_current if feed.key.mode is Mode.LATEST else _always
    feed.backlog = Backlog(begin, end, events, is_wanted)
    return feed.backlog


def _beginning(feed: Feed, standing: Position) -> dict[int, int]:
    """Where a new backlog begins: low enough for those, too, who are handed the present one."""
    logs = feed.topology.logs
    begin = {p: standing.offsets.get(p, 0) for p in feed.partitions if p in logs}
    held = feed.backlog
    if held is None or held.begin.keys() != begin.keys():
        return begin
    if feed.key.mode is Mode.EVERY or all(begin[p] >= end for p, end in held.end.items()):
        return begin
    return {p: min(offset, held.begin[p]) for p, offset in begin.items()}


def _always(_event: Event) -> bool:
    return True


def _after(feed: Feed, since: Position, gap: Gap) -> Position:
    """Where one goes on who stood at ``since``, after ``gap``."""
    here = feed.position()
    offsets = {
        p: gap[p][1] if p in gap else since.offsets.get(p, next_offset)
        for p, next_offset in here.offsets.items()
    }
    return Position(here.epoch, offsets)


def _missed(feed: Feed, since: Position, reach_back: int) -> tuple[Gap, GapReason] | None:
    """The offsets per partition that this node cannot give any more, and why."""
    logs = feed.topology.logs
    held = {p: logs[p] for p in feed.partitions}
    if since.epoch != feed.topology.epoch:
        gap = {
            p: (since.offsets.get(p, 0), _lowest(feed, log, reach_back)) for p, log in held.items()
        }
        return gap, GapReason.RECREATED
    gap = {}
    reasons = set()
    for partition, log in held.items():
        offset = since.offsets.get(partition, 0)
        if offset > log.next_offset:
            gap[partition] = (offset, log.next_offset)
            reasons.add(GapReason.TRUNCATED)
        elif offset < (lowest := _lowest(feed, log, reach_back)):
            gap[partition] = (offset, lowest)
            reasons.add(GapReason.RETENTION if offset < log.kept_from else GapReason.TOO_FAR)
    return (gap, _weightiest(reasons)) if gap else None


def _weightiest(reasons: set[GapReason]) -> GapReason:
    """One reason for a gap in several partitions: what the log itself lost comes first."""
    order = (GapReason.TRUNCATED, GapReason.RETENTION, GapReason.TOO_FAR)
    return next(reason for reason in order if reason in reasons)


def _lowest(feed: Feed, log: PartitionLog, reach_back: int) -> int:
    """The lowest offset that this node can serve from, reading again included."""
    if feed.key.mode is Mode.LATEST:
        return log.floor
    reached = log.complete_from - reach_back
    return min(log.complete_from, max(log.kept_from, reached))


def _is_table(feed: Feed) -> bool:
    return any(log.is_table for log in feed.topology.logs.values())


def _is_newest_anywhere(topology: Topology, event: Event) -> bool:
    """Whether an event is the newest of its entity in its partition, and no other has a later one."""
    logs = topology.logs
    if logs[event.partition].newest_of(event) is not event:
        return False
    order = (event.ts_ms, event.partition)
    rivals = (log.newest_of(event) for log in logs.values())
    return all(r is None or order >= (r.ts_ms, r.partition) for r in rivals)


def _nothing(position: Position) -> Position:
    return Position(position.epoch, dict.fromkeys(position.offsets, 0))
