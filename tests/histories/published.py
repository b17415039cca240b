"""What was published, in the order of Kafka: by place, and by channel and key."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tidewire.kafka.partitioning import partition_of

from .entries import Addressed, LogEntry, Published, Revoked, Tenure, Topic
from .revocations import RevokedUsers
from .tenures import Tenures

__all__ = ["ChannelLog", "Life", "Log", "build_log", "channel_parts"]


_MEMO = 1 << 16
"""Ranges whose newest records are remembered: clients of one feed ask for the same."""


class ChannelLog:
    """The records of one channel in one life of its topic.

    ``records`` are in order of offset, by partition; ``offsets`` are theirs.
    """

    def __init__(self, records: Mapping[int, Sequence[Published]]) -> None:
        self.records = records
        self.offsets = {p: [record.offset for record in held] for p, held in records.items()}
        self._places: dict[tuple[str, int], list[int]] = {}  # key and partition: indices
        self._homes: dict[str, list[int]] = {}  # key: partitions, in order of appearance
        self._newest: dict[tuple[int, int, int], Sequence[Published]] = {}
        for partition, held in records.items():
            for index, record in enumerate(held):
                indices = self._places.setdefault((record.key, partition), [])
                indices.append(index)
                if len(indices) == 1:
                    self._homes.setdefault(record.key, []).append(partition)

    def index(self, partition: int, offset: int) -> int:
        """How many records of a partition lie below ``offset``."""
        return bisect_left(self.offsets.get(partition, ()), offset)

    def homes(self, key: str) -> Sequence[int]:
        """The partitions that hold a key: one, unless the topic has grown."""
        return self._homes.get(key, ())

    def newest_between(self, partition: int, begin: int, end: int) -> Sequence[Published]:
        """The newest record of every key among those of the indices from ``begin`` to ``end``."""
        if end - begin == 1:
            return self.records[partition][begin:end]
        found = self._newest.get((partition, begin, end))
        if found is None:
            if len(self._newest) >= _MEMO:
                self._newest.clear()
            held = self.records.get(partition, ())[begin:end]
            found = tuple({record.key: record for record in held}.values())
            self._newest[partition, begin, end] = found
        return found

    def newest_below(self, partition: int, offset: int) -> Iterator[Published]:
        """The newest record of every key below an offset."""
        end = self.index(partition, offset)
        held = self.records.get(partition, ())
        for (_, where), indices in self._places.items():
            if where == partition and (count := bisect_left(indices, end)):
                yield held[indices[count - 1]]

    def newer(self, record: Published, offset: int, by_ms: float) -> bool:
        """Whether ``record`` had been superseded by ``by_ms`` by one that stands at or beyond ``offset``.

        Its key may live in another partition by now: one with a later time counts there.
        """
        partition = record.partition
        indices = self._places[record.key, partition]
        later = bisect_left(indices, self.index(partition, offset))
        if later < len(indices) and self.records[partition][indices[later]].ts <= by_ms:
            return True
        return any(
            record.ts < other.ts <= by_ms
            for home in self.homes(record.key)
            if home != partition
            for other in (self.records[home][i] for i in self._places[record.key, home])
        )


class Life:
    """One life of a topic: what it is, and its records by partition and offset."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.counts = {topic.partitions}  # it may have grown
        self.records: dict[int, dict[int, Published]] = {}
        self._grouped: dict[str, dict[int, list[Published]]] = {}  # made once all records are there

    def has(self, channel: str, record: Published) -> bool:
        """Whether a record is part of a channel of this stream."""
        group = channel_parts(channel)[1]
        return group is None or (
            self._group_of(record) == group and record.partition in self._partitions(group)
        )

    def channel(self, channel: str) -> ChannelLog:
        group = channel_parts(channel)[1]
        if group is None:
            return ChannelLog({p: list(self._in_order(p)) for p in sorted(self.records)})
        if not self._grouped:
            self._group()
        held = self._grouped.get(group, {})
        return ChannelLog({p: held.get(p, []) for p in self._partitions(group)})

    def _group(self) -> None:
        for partition in sorted(self.records):
            for record in self._in_order(partition):
                held = self._grouped.setdefault(self._group_of(record), {})
                held.setdefault(partition, []).append(record)

    def _in_order(self, partition: int) -> Iterator[Published]:
        held = self.records[partition]
        return (held[offset] for offset in sorted(held))

    def _partitions(self, group: str) -> list[int]:
        return sorted({partition_of(group.encode(), count) for count in self.counts})

    def _group_of(self, record: Published) -> str:
        if self.topic.group == "user":
            return record.to
        return record.key.partition("/")[0] if self.topic.group == "key-prefix" else record.key


class Log:
    """Everything that was ever published."""

    def __init__(self) -> None:
        self.tenures = Tenures()
        self.revoked = RevokedUsers()
        self._lives: dict[str, dict[str, Life]] = {}
        self._channels: dict[tuple[str, str], ChannelLog] = {}

    def add(self, entry: LogEntry) -> None:
        """Take the next entry. Raises ``ValueError`` for two records at one place."""
        if isinstance(entry, Tenure | Addressed):
            self.tenures.add(entry)
            return
        if isinstance(entry, Revoked):
            self.revoked.add(entry)
            return
        lives = self._lives.setdefault(entry.stream, {})
        if isinstance(entry, Topic):
            lives.setdefault(entry.epoch, Life(entry)).counts.add(entry.partitions)
            return
        held = lives[entry.epoch].records.setdefault(entry.partition, {})
        if held.setdefault(entry.offset, entry) != entry:
            raise ValueError(f"two records at one place: {held[entry.offset]} and {entry}")

    def life(self, stream: str, epoch: str) -> Life | None:
        return self._lives.get(stream, {}).get(epoch)

    def last_epoch(self, stream: str) -> str | None:
        """The epoch of the last life of a stream's topic."""
        return next(reversed(self._lives.get(stream, {})), None)

    def channel(self, channel: str, epoch: str) -> ChannelLog:
        """A channel in one life; empty where nothing was published."""
        key = channel, epoch
        if key not in self._channels:
            life = self.life(channel_parts(channel)[0], epoch)
            self._channels[key] = ChannelLog({}) if life is None else life.channel(channel)
        return self._channels[key]


def build_log(entries: Iterable[LogEntry]) -> Log:
    log = Log()
    for entry in entries:
        log.add(entry)
    return log


def channel_parts(channel: str) -> tuple[str, str | None]:
    """Stream and group of a channel."""
    stream, slash, group = channel.partition("/")
    return stream, group if slash else None
