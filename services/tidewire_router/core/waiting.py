"""Letters to users of whom nothing is known while the registry is away."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidewire.targeting.messages import Letter

__all__ = ["WaitingLimits", "WaitingRoom"]


@dataclass(frozen=True, slots=True)
class WaitingLimits:
    """For all partitions of a router together."""

    max_letters: int = 10_000
    max_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class _Queue:
    letters: list[Letter] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    size: int = 0


class WaitingRoom:
    """Letters in order, per partition; who finds no room keeps its letters, and waits with its partition."""

    def __init__(self, limits: WaitingLimits) -> None:
        self._limits = limits
        self._queues: dict[int, _Queue] = {}
        self._letters = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._letters

    def has_room(self, letters: Sequence[Letter]) -> bool:
        return (
            self._letters + len(letters) <= self._limits.max_letters
            and self._bytes + _size(letters) <= self._limits.max_bytes
        )

    def add(self, partition: int, letters: Sequence[Letter]) -> None:
        assert self.has_room(letters)
        queue = self._queues.setdefault(partition, _Queue())
        queue.letters += letters
        queue.users.update(letter.user for letter in letters)
        queue.size += _size(letters)
        self._letters += len(letters)
        self._bytes += _size(letters)

    def letters(self, partition: int) -> Sequence[Letter]:
        """Oldest first."""
        queue = self._queues.get(partition)
        return () if queue is None else queue.letters

    def is_waiting(self, partition: int, user: str) -> bool:
        queue = self._queues.get(partition)
        return queue is not None and user in queue.users

    def first(self, partition: int) -> int | None:
        """The offset of the oldest letter; nothing from there on may be committed."""
        queue = self._queues.get(partition)
        return None if queue is None else queue.letters[0].offset

    def clear(self, partition: int) -> None:
        """They are routed, or the partition is somebody else's."""
        queue = self._queues.pop(partition, None)
        if queue is not None:
            self._letters -= len(queue.letters)
            self._bytes -= queue.size


def _size(letters: Sequence[Letter]) -> int:
    return sum(len(letter.data) for letter in letters)
