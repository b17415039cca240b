"""Which partitions are read: those some subscription needs, and for a while those just left."""

from collections.abc import Iterable

from tidewire.kafka.records import TopicPartition

__all__ = ["Demand"]


class Demand:
    """Reference counts per partition; at zero a partition lingers before it is let go.

    ``linger`` is in seconds. `version` changes with every change of what is wanted.
    """

    def __init__(self, linger: float) -> None:
        self._linger = linger
        self._references: dict[TopicPartition, int] = {}
        self._lingering: dict[TopicPartition, float] = {}
        self.version = 0

    def acquire(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if self._lingering.pop(partition, None) is None and partition not in self._references:
                self.version += 1
            self._references[partition] = self._references.get(partition, 0) + 1

    def release(self, partitions: Iterable[TopicPartition], now: float) -> None:
        for partition in partitions:
            left = self._references[partition] - 1
            if left:
                self._references[partition] = left
            else:
                del self._references[partition]
                self._lingering[partition] = now + self._linger

    def expire(self, now: float) -> None:
        """Let go of the partitions that have lingered long enough."""
        for partition in [p for p, until in self._lingering.items() if until <= now]:
            del self._lingering[partition]
            self.version += 1

    def shrink(self, topic: str, partitions: int) -> None:
        """The topic has so many partitions now: let go of others that linger, which are there no more."""
        for place in [p for p in self._lingering if p.topic == topic and p.partition >= partitions]:
            del self._lingering[place]
            self.version += 1

    def wanted(self) -> frozenset[TopicPartition]:
        return frozenset((*self._references, *self._lingering))
