"""What one subscription was shown of one life of its channel, against what a position of it claims.

A position claims that everything below it was delivered, superseded or announced as a gap. What it claims too
early is unsafe where it came later and lost where it never came.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .entries import Published
from .published import ChannelLog
from .violations import Finding, Rule

__all__ = ["Account", "EveryAccount", "LatestAccount", "Moment", "is_covered"]

Ranges = list[tuple[int, int]]


class Moment(NamedTuple):
    """When something arrived: monotonic seconds, and ms since 1970."""

    at: float
    wall_ms: float


def is_covered(record: Published, shown: Published | None) -> bool:
    """Whether ``shown`` is this record of its key or a newer one.

    Offsets of different partitions are not compared: there times are, once the topic has grown.
    """
    if shown is None or shown.epoch != record.epoch:
        return False
    if shown.partition == record.partition:
        return shown.offset >= record.offset
    return shown.ts >= record.ts


class Account:
    """What both modes have in common: where it began, and the gaps."""

    def __init__(self, log: ChannelLog) -> None:
        self._log = log
        self._gaps: dict[int, Ranges] = {}

    def excuse(self, partition: int, first: int, after: int) -> None:
        """Offsets from ``first`` up to ``after`` will not be delivered, as was announced."""
        self._gaps.setdefault(partition, []).append((first, after))

    def _restart(self, partition: int, offset: int) -> None:
        """What was excused from ``offset`` on was the tail that is lost; other records will stand there."""
        ranges = self._gaps.get(partition, ())
        self._gaps[partition] = [(f, min(after, offset)) for f, after in ranges if f < offset]

    def is_excused(self, record: Published) -> bool:
        """Whether it need not come: it lies in a gap, is kept nowhere, or a newer one of its collapse key stands there."""
        if not record.is_kept:
            return True
        if record.collapses and self._log.newer(record, record.offset + 1, float("inf")):
            return True
        ranges = self._gaps.get(record.partition, ())
        return any(first <= record.offset < after for first, after in ranges)


class LatestAccount(Account):
    """Mode `latest`: ``shown`` holds the event of every key that came last, removals too."""

    def __init__(self, log: ChannelLog) -> None:
        super().__init__(log)
        self.shown: dict[str, Published] = {}
        self._judged: dict[int, int] = {}  # indices below are done with
        self._claimed: dict[tuple[str, int], Published] = {}

    def begin(self, offsets: Mapping[int, int]) -> None:
        """What lies below ``offsets`` is no business of this subscription."""
        for partition, offset in offsets.items():
            self.excuse(partition, 0, offset)
            self._judged[partition] = self._log.index(partition, offset)

    def deliver(self, record: Published) -> Iterator[Finding]:
        before = self.shown.get(record.key)
        if before is not None and _is_newer(before, record):
            yield Finding(Rule.WENT_BACK, f"after {_place(before)}", record)
        self.shown[record.key] = record
        if self._claimed:
            yield from self._settle(record)

    def move(self, partition: int, offset: int, moment: Moment) -> None:
        """A position was handed out; what it claims too early is found when that comes, or never does."""
        begin = self._judged.get(partition, 0)
        end = self._log.index(partition, offset)
        if end <= begin:
            return
        self._judged[partition] = end
        shown = self.shown
        for record in self._log.newest_between(partition, begin, end):
            if shown.get(record.key) is not record:
                self._claim(record, offset, moment)

    def replace(
        self,
        events: Iterable[Published],
        offsets: Mapping[int, int],
        moment: Moment,
        *,
        is_partial: bool,
    ) -> Iterator[Finding]:
        """A snapshot: what it does not hold is gone, unless it is partial."""
        for record in self._claimed.values():
            yield Finding(Rule.UNSAFE, "came only with a snapshot", record)
        self._claimed.clear()
        before, self.shown = self.shown, {}
        for record in events:
            last = before.get(record.key)
            if last is not None and _is_newer(last, record):
                yield Finding(Rule.WENT_BACK, f"a snapshot after {_place(last)}", record)
            self.shown[record.key] = record
        self._gaps.clear()
        for partition, offset in offsets.items():
            self._judged[partition] = self._log.index(partition, offset)
            if is_partial:
                self.excuse(partition, 0, offset)
                continue
            for record in self._log.newest_below(partition, offset):
                self._claim(record, offset, moment)

    def truncated(self, partition: int, offset: int) -> None:
        """The partition lost its tail, or never had what this subscription stood at."""
        index = self._log.index(partition, offset)
        self._judged[partition] = min(self._judged.get(partition, 0), index)
        self._restart(partition, offset)

    def left(self) -> Iterator[Finding]:
        """What was claimed and never came."""
        for record in self._claimed.values():
            if self.is_excused(record):
                yield Finding(Rule.UNSAFE, "announced as missing only later", record)
            else:
                yield Finding(Rule.LOST, "never delivered, nor a newer value", record)

    def lacks(self) -> Iterator[Published]:
        """The newest record of each key that the client's map does not agree with."""
        claimed = set(self._claimed.values())
        for partition in self._log.records:
            for record in self._log.newest_between(partition, 0, len(self._log.records[partition])):
                if not self._is_done(record) and record not in claimed:
                    yield record

    def _is_done(self, record: Published) -> bool:
        """Whether the client's map is right about a key, or need not be."""
        shown = self.shown.get(record.key)
        if is_covered(record, shown) or self.is_excused(record):
            return True
        is_absent = shown is None or shown.digest is None
        return (record.digest is None and is_absent) or self._log.newer(
            record, record.offset + 1, float("inf")
        )

    def _claim(self, record: Published, offset: int, moment: Moment) -> None:
        shown = self.shown.get(record.key)
        if (
            is_covered(record, shown)
            or (record.digest is None and shown is None)
            or self.is_excused(record)
            or self._log.newer(record, offset, moment.wall_ms)
        ):
            return
        self._claimed[record.key, record.partition] = record

    def _settle(self, record: Published) -> Iterator[Finding]:
        for partition in self._log.homes(record.key):
            claimed = self._claimed.get((record.key, partition))
            if claimed is not None and is_covered(claimed, record):
                del self._claimed[record.key, partition]
                yield Finding(Rule.UNSAFE, f"came only later, with {_place(record)}", claimed)


class EveryAccount(Account):
    """Mode `every`: per partition, how many records were shown or passed over, and how many are claimed."""

    def __init__(self, log: ChannelLog) -> None:
        super().__init__(log)
        self._shown: dict[int, int] = {}
        self._claimed: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._late: list[Published] = []

    def begin(self, offsets: Mapping[int, int]) -> None:
        for partition, offset in offsets.items():
            self._shown[partition] = self._claimed[partition] = self._log.index(partition, offset)

    def excuse(self, partition: int, first: int, after: int) -> None:
        held = self._log.records.get(partition, ())
        claimed = held[self._shown.get(partition, 0) : self._claimed.get(partition, 0)]
        self._late += [r for r in claimed if first <= r.offset < after and not self.is_excused(r)]
        super().excuse(partition, first, after)

    def deliver(self, record: Published) -> Iterator[Finding]:
        partition, offset = record.partition, record.offset
        last = self._last.get(partition, -1)
        self._last[partition] = offset
        if offset <= last:
            yield Finding(Rule.WENT_BACK, f"after {partition}:{last}", record)
            return
        expected = self._shown.get(partition, 0)
        offsets = self._log.offsets.get(partition, ())
        index = expected
        if index >= len(offsets) or offsets[index] != offset:
            index = self._log.index(partition, offset)
        for skipped in self._log.records.get(partition, ())[expected:index]:
            if not self.is_excused(skipped):
                yield Finding(Rule.LOST, f"passed over by {partition}:{offset}", skipped)
        self._shown[partition] = max(expected, index + 1)
        if index < self._claimed.get(partition, 0) and index >= expected:
            yield Finding(Rule.UNSAFE, "came only after a position beyond it", record)

    def move(self, partition: int, offset: int, moment: Moment) -> None:
        """A position was handed out; what it claims too early is found when that comes, or never does."""
        shown = self._shown.get(partition, 0)
        offsets = self._log.offsets.get(partition, ())
        if shown < len(offsets) and offsets[shown] < offset:
            claimed = self._log.index(partition, offset)
            self._claimed[partition] = max(self._claimed.get(partition, 0), claimed)

    def truncated(self, partition: int, offset: int) -> None:
        """The partition lost its tail, or never had what this subscription stood at."""
        index = self._log.index(partition, offset)
        self._restart(partition, offset)
        self._shown[partition] = min(self._shown.get(partition, 0), index)
        self._claimed[partition] = min(self._claimed.get(partition, 0), index)
        self._last[partition] = min(self._last.get(partition, -1), offset - 1)

    def left(self) -> Iterator[Finding]:
        """What was claimed and never came."""
        for record in self._late:
            yield Finding(Rule.UNSAFE, "announced as missing only later", record)
        for partition, claimed in self._claimed.items():
            for record in self._open(partition)[: max(0, claimed - self._shown.get(partition, 0))]:
                if not self.is_excused(record):
                    yield Finding(Rule.LOST, "never delivered", record)

    def lacks(self) -> Iterator[Published]:
        """What is to come, though no position says that it has."""
        for partition in self._log.records:
            claimed = max(0, self._claimed.get(partition, 0) - self._shown.get(partition, 0))
            for record in self._open(partition)[claimed:]:
                if not self.is_excused(record):
                    yield record

    def _open(self, partition: int) -> Sequence[Published]:
        return self._log.records.get(partition, ())[self._shown.get(partition, 0) :]


def _is_newer(record: Published, other: Published) -> bool:
    if record.epoch != other.epoch:
        return False
    if record.partition == other.partition:
        return record.offset > other.offset
    return record.ts > other.ts


def _place(record: Published) -> str:
    return f"{record.partition}:{record.offset}"
