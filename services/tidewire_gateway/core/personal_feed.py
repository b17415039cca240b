"""One client's `@me`: what it was delivered, and when its mailbox has to be read (pure)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidewire.targeting.mailboxes import Page
from tidewire.targeting.messages import Letter

__all__ = ["Part", "PersonalFeed"]

_HELD = 64
"""Letters that are kept nowhere and wait for a read of the mailbox; the oldest are dropped."""


class Part(NamedTuple):
    """Letters in order behind a gap, if there is one: offsets from its first to before its second may lack some.

    A gap whose second is below its first: the mailbox has lost its end, and goes on from there. Every kept message below
    ``position`` is done with once the part is written.
    """

    gap: tuple[int, int] | None
    letters: Sequence[Letter]
    position: int


class PersonalFeed:
    """The inbox is for speed, the mailbox for truth.

    Every kept message below ``next_offset`` was delivered, superseded or announced as lost. A letter whose `prev` is not below it
    shows a hole; then, and whenever `needs_read` is set, the mailbox is read from there. ``since`` None is a fresh
    subscription: it gets what the mailbox holds, or with ``snapshot`` false what comes from now on.

    ``position`` is what the client is told to resume from. Letters that are kept nowhere do not move it: so it says of what
    mailbox the client has had something, and a mailbox that has less than that was lost meanwhile.
    """

    __slots__ = (
        "_held",
        "_wants_past",
        "is_fresh",
        "is_reading",
        "needs_read",
        "next_offset",
        "position",
    )

    def __init__(self, since: int | None, *, snapshot: bool = True) -> None:
        self.next_offset = self.position = since or 0
        self.is_fresh = since is None
        self._wants_past = since is not None or snapshot
        self.needs_read = True
        self.is_reading = False
        self._held: list[Letter] = []

    def offer(self, letter: Letter, *, can_take: bool) -> Letter | None:
        """A letter from the inbox; returns it if it is to be written now. ``can_take``: the socket is not behind."""
        if letter.offset < self.next_offset:
            return None
        if not can_take:
            self.needs_read = True
            return None
        after_prev = _after(letter.prev)
        is_hole = after_prev > self.next_offset or after_prev < self.position
        if self.needs_read or self.is_reading or is_hole:
            self.needs_read = True
            self._hold(letter)
            return None
        self.next_offset = letter.offset + 1
        if letter.is_kept:
            self.position = self.next_offset
        return letter

    def look(self) -> None:
        """Read the mailbox, whatever came through the inbox."""
        self.needs_read = True

    def begin_read(self) -> int:
        """The offset after which to read."""
        self.needs_read = False
        self.is_reading = True
        return self.next_offset - 1

    def fail_read(self) -> None:
        """The mailbox could not be read."""
        self.needs_read = True
        self.is_reading = False

    def position_at(self, page: Page) -> int:
        """Where a subscription stands before what `end_read` makes of its first page."""
        if not self.is_fresh:
            return self.position
        return page.floor + 1 if self._wants_past else _after(page.last)

    def end_read(self, page: Page, *, can_take: bool = True) -> Sequence[Part]:
        """What is to be written now; `needs_read` where another page follows, or the socket fell behind meanwhile."""
        self.is_reading = False
        if not can_take:
            self.needs_read = True
            return ()
        begin = self.next_offset
        floor = self._floor(page)
        parts = self._lost_end(page)
        letters = [one for one in page.letters if one.offset >= begin] if self._wants_past else []
        at = self.position
        if letters:
            self.position = letters[-1].offset + 1
        if page.is_complete or not self._wants_past:
            self.position = max(self.position, _after(page.last), floor + 1)
            self._wants_past = True
        else:
            self.needs_read = True
        end = max(begin, self.position)
        letters = self._with_held(letters, begin, end)
        if letters:
            end = max(end, letters[-1].offset + 1)
        self.next_offset = end
        parts += _parts(letters, begin, floor, end, at)
        if parts:
            parts[-1] = parts[-1]._replace(position=self.position)
        return parts

    def _floor(self, page: Page) -> int:
        """The highest offset up to which something of the client's may be lost."""
        if self.is_fresh:  # what is lost by now was never its own
            self.is_fresh = False
            return -1
        if page.first is not None and page.first > self.position > 0:  # of another mailbox
            return max(page.floor, page.first - 1)
        return page.floor

    def _lost_end(self, page: Page) -> list[Part]:
        """A mailbox that has had less than the client goes on from there: nobody knows what else it had."""
        after = _after(page.last)
        if after >= self.position:
            return []
        gap, self.position = (self.position, after), after
        return [Part(gap, (), after)]

    def _with_held(self, letters: list[Letter], begin: int, end: int) -> list[Letter]:
        """What waited for this page, in its place; what comes behind the next page waits for that."""
        ready = [one for one in self._held if one.offset >= begin]
        self._held = []
        if self.needs_read:
            self._held = [one for one in ready if one.offset >= end]
            ready = [one for one in ready if one.offset < end]
        return sorted((*letters, *ready), key=lambda one: one.offset)

    def _hold(self, letter: Letter) -> None:
        if not letter.is_kept and letter not in self._held:
            self._held.append(letter)
            del self._held[:-_HELD]


def _parts(
    letters: Iterable[Letter], begin: int, floor: int, end: int, position: int
) -> Iterable[Part]:
    """Cut at every place up to ``floor`` where something may be lost: none stands inside a gap."""
    gap: tuple[int, int] | None = None
    run: list[Letter] = []
    at = begin
    for letter in letters:
        if at <= floor and letter.offset > at:
            if run or gap is not None:
                yield Part(gap, run, position)
            position = min(letter.offset, floor + 1)
            gap, run = (at, position), []
        run.append(letter)
        at = letter.offset + 1
        if letter.is_kept:
            position = at
    if at <= floor < end:
        if run or gap is not None:
            yield Part(gap, run, position)
        position = floor + 1
        gap, run = (at, position), []
    if run or gap is not None:
        yield Part(gap, run, position)


def _after(offset: int | None) -> int:
    return 0 if offset is None else offset + 1
