"""Entities that are followed for a while whatever their producers say: which, and until when (pure)."""

from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["LONGEST", "MOST_FOLLOWED", "Entity", "Following"]

MOST_FOLLOWED: Final = 16
LONGEST: Final = 3600.0
"""Seconds."""


class Entity(NamedTuple):
    stream: str
    key: str


class Following:
    """``followed_in`` gives, by stream, the set of entities that is kept up to date here. Times are monotonic seconds."""

    def __init__(self, followed_in: Callable[[str], set[str]]) -> None:
        self._followed_in = followed_in
        self._until: dict[Entity, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def follow(self, entity: Entity, until: float, now: float) -> bool:
        """Follow it until then, be it followed already; False where as many others are followed as may be."""
        self.expire(now)
        if entity not in self._until and len(self._until) >= MOST_FOLLOWED:
            return False
        self._until[entity] = until
        self._followed_in(entity.stream).add(entity.key)
        return True

    def end(self, entity: Entity) -> bool:
        """Follow it no longer; whether it was followed."""
        if self._until.pop(entity, None) is None:
            return False
        self._followed_in(entity.stream).discard(entity.key)
        return True

    def expire(self, now: float) -> None:
        """End what is over."""
        for entity in [e for e, until in self._until.items() if until <= now]:
            self.end(entity)

    def next_end(self) -> float | None:
        """When something is over next; None where nothing is followed."""
        return min(self._until.values(), default=None)
