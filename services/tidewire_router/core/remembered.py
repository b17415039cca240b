"""Users whose letters went where the registry had them before it was away, to be routed again."""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Place

__all__ = ["CatchUp", "Remembered"]

_Seat = tuple[int, str]


class CatchUp(NamedTuple):
    """The kept letters of a user with ``first`` ≤ offset ≤ ``last`` are due at ``places``, which did not get them."""

    user: str
    first: int
    last: int
    places: Sequence[Place]


class _Sent(NamedTuple):
    first: int
    last: int
    seats: frozenset[_Seat]


class Remembered:
    """One partition's users. Their mailboxes hold the letters: only offsets are remembered.

    Beyond ``max_users`` the one that was remembered first is forgotten, and `forgotten` counts it: its gateway finds
    the letters in the mailbox all the same, only later.
    """

    def __init__(self, max_users: int) -> None:
        self._max_users = max_users
        self._sent: dict[str, _Sent] = {}
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._sent)

    def note(self, letter: Letter, places: Sequence[Place]) -> None:
        """A letter went to ``places``, which nobody could confirm. One that is not kept cannot be sent again."""
        if not letter.is_kept:
            return
        seats = frozenset(map(_seat, places))
        before = self._sent.get(letter.user)
        if before is None:
            self._sent[letter.user] = _Sent(letter.offset, letter.offset, seats)
            self._forget_beyond()
        else:  # only places that had all of it have nothing to catch up
            self._sent[letter.user] = _Sent(before.first, letter.offset, before.seats & seats)

    @property
    def first(self) -> int | None:
        """The offset of the oldest letter that may have to go elsewhere; nothing from there on may be committed."""
        return next((sent.first for sent in self._sent.values()), None)

    def users(self) -> Sequence[str]:
        return tuple(self._sent)

    def catch_up(self, user: str, places: Sequence[Place]) -> CatchUp | None:
        """What is due now that the registry has told ``places``."""
        sent = self._sent.get(user)
        if sent is None:
            return None
        new = [place for place in places if _seat(place) not in sent.seats]
        return CatchUp(user, sent.first, sent.last, new) if new else None

    def clear(self) -> None:
        self._sent.clear()

    def _forget_beyond(self) -> None:
        while len(self._sent) > self._max_users:
            del self._sent[next(iter(self._sent))]
            self.forgotten += 1


def _seat(place: Place) -> _Seat:
    return place.slot, place.epoch
