"""The client's rules for one subscription: positions, duplicates, snapshots, gaps; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from .messages import Event, Gap, GapNotice, Snapshot, Status, Subscribed, Updates
from .position import Position

__all__ = ["Accepted", "SubscriptionState"]

MAX_TOMBSTONES = 10_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a frame brought that the application has not seen.

    ``replaces``: the events are a whole table; what was there before is gone.
    """

    events: tuple[Event, ...]
    coalesced: int = 0
    replaces: bool = False
    partial: bool = False


class SubscriptionState:
    """What a client knows of one subscription, through all its connections.

    ``position`` is what a resume hands back; None while the first snapshot is not complete.
    ``newest`` is the map of mode `latest`; it stays empty in `every`.
    """

    def __init__(self, *, snapshot: bool = True, since: Position | None = None) -> None:
        self.newest: dict[str, Event] = {}
        self.position = since
        self.mode = "latest"
        self.interval_ms = 0
        self.feed_state = "live"
        self.feed_age = 0.0
        self.recovered = "none"
        self.recovered_reason: str | None = None
        self._wants_snapshot = snapshot
        self._announced: Position | None = None  # of a `subscribed` whose snapshot is not complete
        self._parts: list[Event] = []
        self._after_parts: list[Event] = []
        self._is_collecting = False
        self._offset_by_key: dict[str, tuple[int, int]] = {}  # `latest`: partition and offset
        self._tombstones: dict[str, None] = {}  # keys of the above that are removed, oldest first
        self._offset_by_partition: dict[int, int] = {}  # `every`

    @property
    def awaits_snapshot(self) -> bool:
        """Whether position and map wait for the last part of a snapshot."""
        return self._announced is not None or self._is_collecting

    def subscribed(self, message: Subscribed, *, is_update: bool = False) -> Gap | None:
        """Take the reply to `subscribe` or, with ``is_update``, to `update_subscription`."""
        self.mode = message.mode
        self.interval_ms = message.interval_ms
        self.recovered = message.recovered
        self.recovered_reason = message.reason
        self.feed_state, self.feed_age = "live", 0.0
        self.drop_parts()
        if self._snapshot_follows(message, is_update):
            self._announced = message.position
        else:
            self._stand_at(message.position)
        gap = message.gap
        if gap is None and message.recovered == "gap":
            gap = Gap({}, message.reason)
        if gap is not None:
            self._restart(gap)
        return gap

    def drop_parts(self) -> None:
        """Forget a snapshot that will not be completed; position and map stay as they were before it."""
        self._parts.clear()
        self._after_parts.clear()
        self._is_collecting = False

    def snapshot(self, message: Snapshot) -> Accepted | None:
        """Take one part; None until the last is in."""
        self._is_collecting = message.more
        self._parts.extend(message.events)
        if message.more:
            return None
        events = (*self._parts, *self._after_parts)
        self.drop_parts()
        self._stand_at(message.position)
        self._forget_offsets()
        self.newest.clear()
        self._keep(events)
        return Accepted(events, replaces=True, partial=message.partial)

    def updates(self, message: Updates) -> Accepted:
        """Take a batch; duplicates are left out of the answer."""
        if self._is_collecting:
            self._after_parts.extend(message.events)
            return Accepted(())
        if self._announced is not None:
            # Attached, so the server has no snapshot to send: it began where `subscribed` said.
            self._stand_at(self._announced)
        moved = message.position
        if self.position is None or moved.epoch != self.position.epoch:
            self._forget_offsets()
        is_fresh = self._is_newer if self.mode == "latest" else self._is_next
        fresh = tuple([event for event in message.events if is_fresh(event)])
        self.position = moved if self.position is None else self.position.merged(moved)
        return Accepted(fresh, coalesced=message.coalesced)

    def gap(self, message: GapNotice) -> Gap:
        gap = message.gap
        self._restart(gap)
        is_in_place = gap.reason != "recreated" and not self.awaits_snapshot
        if is_in_place and self.position is not None:
            after = {partition: bounds[1] for partition, bounds in gap.ranges.items()}
            self.position = self.position.merged(Position(self.position.epoch, after))
        return gap

    def status(self, message: Status) -> None:
        self.feed_state = message.state
        self.feed_age = 0.0 if message.state == "live" else message.age_ms / 1000

    def _snapshot_follows(self, message: Subscribed, is_update: bool) -> bool:
        if message.recovered == "snapshot":
            return True
        if is_update:
            return message.recovered == "none" and self._announced is not None
        is_table = message.mode == "latest" and self._wants_snapshot
        return message.recovered == "none" and is_table

    def _stand_at(self, position: Position) -> None:
        if self.position is not None and position.epoch != self.position.epoch:
            self._forget_offsets()
        self.position = position
        self._announced = None

    def _is_newer(self, event: Event) -> bool:
        last = self._offset_by_key.get(event.key)
        if last is not None and last[0] == event.partition and event.offset <= last[1]:
            return False
        self._keep((event,))
        return True

    def _is_next(self, event: Event) -> bool:
        if event.offset < 0:  # pushed: it stands in no topic
            return True
        if event.offset <= self._offset_by_partition.get(event.partition, -1):
            return False
        self._offset_by_partition[event.partition] = event.offset
        return True

    def _keep(self, events: Iterable[Event]) -> None:
        for event in events:
            self._offset_by_key[event.key] = (event.partition, event.offset)
            self._tombstones.pop(event.key, None)
            if event.deleted:
                self.newest.pop(event.key, None)
                self._bury(event.key)
            else:
                self.newest[event.key] = event

    def _bury(self, key: str) -> None:
        self._tombstones[key] = None
        if len(self._tombstones) > MAX_TOMBSTONES:
            oldest = next(iter(self._tombstones))
            del self._tombstones[oldest], self._offset_by_key[oldest]

    def _forget_offsets(self) -> None:
        self._offset_by_key.clear()
        self._tombstones.clear()
        self._offset_by_partition.clear()

    def _restart(self, gap: Gap) -> None:
        if gap.reason == "recreated":
            return  # its numbers are of another log; the position of the new epoch starts everything anew
        for partition, (_, after) in gap.ranges.items():
            self._offset_by_partition[partition] = after - 1
        beyond = [
            key
            for key, (partition, offset) in self._offset_by_key.items()
            if partition in gap.ranges and offset >= gap.ranges[partition][1]
        ]
        for key in beyond:
            del self._offset_by_key[key]
            self._tombstones.pop(key, None)
