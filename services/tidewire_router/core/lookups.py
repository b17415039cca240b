"""What the registry said of users, for as long as it may be believed."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidewire.targeting.registry import Place

__all__ = ["LookupCache"]

Places = Sequence[Place]


class _Entry(NamedTuple):
    places: Places
    asked_at: float


class LookupCache:
    """Answers by user, "nowhere" included; the least recently used are forgotten beyond ``max_users``.

    ``ttl`` is in seconds and counts from *asking*: an answer was true at some time after that.
    """

    def __init__(self, *, ttl: float, max_users: int) -> None:
        self._ttl = ttl
        self._max_users = max_users
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def fresh(self, user: str, now: float) -> Places | None:
        """Where the user is; None where that is not known, or no longer."""
        entry = self._entries.get(user)
        if entry is None or now - entry.asked_at >= self._ttl:
            return None
        self._entries.move_to_end(user)
        return entry.places

    def last(self, user: str) -> Places | None:
        """What was known last, however long ago."""
        entry = self._entries.get(user)
        return None if entry is None else entry.places

    def put(self, answers: Iterable[tuple[str, Places]], asked_at: float) -> None:
        for user, places in answers:
            self._entries[user] = _Entry(places, asked_at)
            self._entries.move_to_end(user)
        while len(self._entries) > self._max_users:
            self._entries.popitem(last=False)
