"""What a subscription lacks: `catch_up` from a position, or from nothing.

One mechanism serves the first snapshot, resume, slow clients, pause and moves between feeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidewire.protocol.codes import GapReason, Mode, Recovered
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import Gap

from .events import Event
from .feeds import Feed
from .partition_log import PartitionLog

__all__ = ["CatchUp", "catch_up", "current_events", "start_fresh"]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What brings a subscription level with what the node has read.

    ``begin`` is the position it stands at before ``events`` arrive, ``end`` the one after them. Where
    ``is_snapshot``, `current_events` take the place of ``events`` and of everything the client holds:
    they are the same for all who start here, so they are not gathered before somebody needs them.
    """

    recovered: Recovered
    begin: Position
    end: Position
    events: Sequence[Event]
    is_snapshot: bool = False
    gap: Gap | None = None
    reason: GapReason | None = None


def start_fresh(feed: Feed, *, snapshot: bool) -> CatchUp:
    """A subscription that resumes nothing: from here on, or in `latest` from a snapshot of here.

    Before its snapshot has arrived a client holds nothing, so ``begin`` is offset 0 then.
    """
    end = feed.position()
    if not snapshot or feed.key.mode is Mode.EVERY:
        return CatchUp(Recovered.NONE, end, end, ())
    return CatchUp(Recovered.NONE, _nothing(end), end, (), is_snapshot=True)


def catch_up(feed: Feed, since: Position) -> CatchUp:
    """What ``since`` lacks, as far as this node holds it; what it does not hold is named.

    Only for a feed that is live: a partition that is not open, or still loading, cannot tell what is lost.
    """
    assert feed.is_live
    missed = _missed(feed, since)
    if feed.key.mode is Mode.LATEST and missed is not None and _is_table(feed):
        end = feed.position()
        return CatchUp(
            Recovered.SNAPSHOT,
            _nothing(end),
            end,
            (),
            is_snapshot=True,
            reason=missed[1],
        )
    if missed is not None:
        return _after_gap(feed, since, *missed)
    end = feed.position()
    begin = Position(end.epoch, {p: since.offsets.get(p, 0) for p in end.offsets})
    recovered = Recovered.EXACT if feed.key.mode is Mode.EVERY else Recovered.CHANGES
    return CatchUp(recovered, begin, end, _events_since(feed, begin.offsets))


def current_events(feed: Feed) -> list[Event]:
    """A snapshot of the channel: the newest event of every entity that the node holds."""
    group = feed.key.channel.group
    logs = feed.topology.logs
    return [e for p in feed.partitions if p in logs for e in logs[p].current(group)]


def _after_gap(feed: Feed, since: Position, gap: Gap, reason: GapReason) -> CatchUp:
    """Name what is lost, and go on from where the log begins."""
    end = feed.position()
    begin = {
        p: gap[p][1] if p in gap else since.offsets.get(p, next_offset)
        for p, next_offset in end.offsets.items()
    }
    return CatchUp(
        Recovered.GAP,
        Position(end.epoch, begin),
        end,
        _events_since(feed, begin),
        gap=gap,
        reason=reason,
    )


def _missed(feed: Feed, since: Position) -> tuple[Gap, GapReason] | None:
    """The offsets per partition that this node cannot give any more, and why."""
    logs = feed.topology.logs
    held = {p: logs[p] for p in feed.partitions}
    if since.epoch != feed.topology.epoch:
        gap = {p: (since.offsets.get(p, 0), _first(feed, log)) for p, log in held.items()}
        return gap, GapReason.RECREATED
    gap = {}
    reason = GapReason.TOO_FAR
    for partition, log in held.items():
        offset = since.offsets.get(partition, 0)
        if offset > log.next_offset:
            gap[partition] = (offset, log.next_offset)
            reason = GapReason.TRUNCATED
        elif offset < _first(feed, log):
            gap[partition] = (offset, _first(feed, log))
            if offset < log.kept_from:
                reason = GapReason.RETENTION
    return (gap, reason) if gap else None


def _first(feed: Feed, log: PartitionLog) -> int:
    """The lowest position that this node can serve from."""
    return log.complete_from if feed.key.mode is Mode.EVERY else log.floor


def _events_since(feed: Feed, offsets: Mapping[int, int]) -> list[Event]:
    group = feed.key.channel.group
    found: list[Event] = []
    for partition in feed.partitions:
        log = feed.topology.logs[partition]
        offset = offsets.get(partition, 0)
        read = log.events_since if feed.key.mode is Mode.EVERY else log.changed_since
        found.extend(read(offset, group))
    return found


def _is_table(feed: Feed) -> bool:
    return any(log.is_table for log in feed.topology.logs.values())


def _nothing(position: Position) -> Position:
    return Position(position.epoch, dict.fromkeys(position.offsets, 0))
