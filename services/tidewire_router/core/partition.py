"""One partition on its way through the router: what is settled, what waits, where its letters go."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Place

from .lookups import LookupCache
from .remembered import CatchUp, Remembered
from .waiting import WaitingRoom

__all__ = ["PartitionWork", "Plan", "Route"]

Answers = Mapping[str, Sequence[Place]]


class Route(NamedTuple):
    """A letter, and where it goes: nowhere, where its user is connected nowhere."""

    letter: Letter
    places: Sequence[Place]


class Plan(NamedTuple):
    """What to do, in this order: catch up, then route.

    ``stale`` are those of ``routes`` that nobody could confirm; ``waiting`` letters have to wait from now on, ``expired``
    are to be delivered no more.
    """

    catch_ups: Sequence[CatchUp]
    routes: Sequence[Route]
    stale: Sequence[Route]
    waiting: Sequence[Letter]
    expired: int
    is_answered: bool


class PartitionWork:
    """Batch after batch: `take`, `users_to_look_up`, `plan`, and `finish` once everything is acknowledged.

    Letters come here when their mailboxes have them. Until `finish` of a batch nothing of it counts as settled.
    """

    def __init__(
        self, partition: int, cache: LookupCache, room: WaitingRoom, remembered: Remembered
    ) -> None:
        self._partition = partition
        self._cache = cache
        self._room = room
        self._remembered = remembered
        self._batch: Sequence[Letter] = ()
        self._next_offset: int | None = None
        self._settled: int | None = None
        self._known: dict[str, Sequence[Place]] = {}

    @property
    def watermark(self) -> int | None:
        """The offset to commit: everything below it is routed for good, or never will be. None: nothing is yet.

        What nobody could confirm, or waits, has to be read once more by whoever owns the partition next.
        """
        if self._settled is None:
            return None
        firsts = (self._room.first(self._partition), self._remembered.first)
        return min(first for first in (self._settled, *firsts) if first is not None)

    @property
    def has_unconfirmed(self) -> bool:
        """Whether something is to be done as soon as the registry answers again."""
        return bool(self._room.letters(self._partition)) or len(self._remembered) > 0

    @property
    def known_users(self) -> int:
        """How many of the users that the last question was about needed no lookup."""
        return len(self._known)

    def take(self, letters: Sequence[Letter], next_offset: int | None = None) -> None:
        """Begin a batch, which ends below ``next_offset``; an empty one sees to what is unconfirmed."""
        self._batch = letters
        self._next_offset = next_offset

    def users_to_look_up(self, now: float) -> Sequence[str]:
        """Users of whom something is to be routed and nothing, or nothing recent, is known."""
        self._known = {}
        unknown: dict[str, None] = {}
        for user in self._users():
            if user in self._known or user in unknown:
                continue
            places = self._cache.fresh(user, now)
            if places is None:
                unknown[user] = None
            else:
                self._known[user] = places
        return tuple(unknown)

    def plan(self, answers: Answers | None, *, now_ms: int) -> Plan | None:
        """Where the letters go; ``answers`` holds all users that were to be looked up, None: no answer came.

        None where more letters would have to wait than there is room for: ask again, until an answer comes.
        """
        if answers is None:
            return self._plan_unanswered(now_ms)
        known = {**self._known, **answers}
        letters = (*self._room.letters(self._partition), *self._batch)
        due = [letter for letter in letters if letter.expires_at_ms > now_ms]
        catch_ups = [
            catch_up
            for user in self._remembered.users()
            if (catch_up := self._remembered.catch_up(user, known[user])) is not None
        ]
        routes = [Route(letter, known[letter.user]) for letter in due]
        return Plan(catch_ups, routes, (), (), len(letters) - len(due), is_answered=True)

    def finish(self, plan: Plan) -> None:
        """Everything that was planned is acknowledged."""
        if plan.is_answered:
            self._room.clear(self._partition)
            self._remembered.clear()
        for letter, places in plan.stale:
            self._remembered.note(letter, places)
        self._batch = ()
        if self._next_offset is not None:
            self._settled = self._next_offset

    def let_go(self) -> None:
        """The partition is somebody else's, who reads what is not committed once more."""
        self._room.clear(self._partition)
        self._remembered.clear()
        self._batch = ()

    def _users(self) -> Iterator[str]:
        for letter in (*self._room.letters(self._partition), *self._batch):
            yield letter.user
        yield from self._remembered.users()

    def _plan_unanswered(self, now_ms: int) -> Plan | None:
        batch = [letter for letter in self._batch if letter.expires_at_ms > now_ms]
        routes: list[Route] = []
        stale: list[Route] = []
        waiting: list[Letter] = []
        for letter in batch:
            user = letter.user
            is_waiting = self._room.is_waiting(self._partition, user)
            places = None if is_waiting else self._known.get(user)
            if places is None and not is_waiting:
                places = self._cache.last(user)
                if places is not None:
                    stale.append(Route(letter, places))
            if places is None:
                waiting.append(letter)
            else:
                routes.append(Route(letter, places))
        if not self._room.has_room(waiting):
            return None
        if waiting:
            self._room.add(self._partition, waiting)
        expired = len(self._batch) - len(batch)
        return Plan((), routes, stale, waiting, expired, is_answered=False)
