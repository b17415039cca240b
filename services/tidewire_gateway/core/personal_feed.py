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

    Every offset below ``next_offset`` is done with once the part is written.
    """

    gap: tuple[int, int] | None
    letters: Sequence[Letter]
    next_offset: int


class PersonalFeed:
    """The inbox is for speed, the mailbox for truth.

    Every kept message below ``next_offset`` was delivered, superseded or announced as lost. A letter whose `prev` is not below it
    shows a hole; then, and whenever `needs_read` is set, the mailbox is read from there. ``since`` None is a fresh
    subscription: it gets what the mailbox holds, or with ``snapshot`` false what comes from now on.
    """

    __slots__ = (
        "_held",
        "_wants_past",
        "is_fresh",
        "is_reading",
        "needs_read",
        "next_offset",
    )

    def __init__(self, since: int | None, *, snapshot: bool = True) -> None:
        self.next_offset = since or 0
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
        is_hole = letter.prev is not None and letter.prev >= self.next_offset
        if self.needs_read or self.is_reading or is_hole:
            self.needs_read = True
            self._hold(letter)
            return None
        self.next_offset = letter.offset + 1
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

    def end_read(self, page: Page, *, can_take: bool = True) -> Sequence[Part]:
        """What is to be written now; `needs_read` where another page follows, or the socket fell behind meanwhile."""
        self.is_reading = False
        if not can_take:
            self.needs_read = True
            return ()
        begin, floor = self.next_offset, page.floor
        if self.is_fresh:  # what is lost by now was never its own
            self.is_fresh, floor = False, -1
        letters = [one for one in page.letters if one.offset >= begin] if self._wants_past else []
        end = letters[-1].offset + 1 if letters else begin
        if page.is_complete or not self._wants_past:
            end = max(end, 0 if page.last is None else page.last + 1, floor + 1)
            self._wants_past = True
        else:
            self.needs_read = True
        letters = self._with_held(letters, begin, end)
        if letters:
            end = max(end, letters[-1].offset + 1)
        self.next_offset = end
        return list(_parts(letters, begin, floor, end))

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


def _parts(letters: Iterable[Letter], begin: int, floor: int, end: int) -> Iterable[Part]:
    """Cut at every place up to ``floor`` where something may be lost: none stands inside a gap."""
    gap: tuple[int, int] | None = None
    run: list[Letter] = []
    at = begin
    for letter in letters:
        if at <= floor and letter.offset > at:
            if run or gap is not None:
                yield Part(gap, run, at)
            gap, run = (at, min(letter.offset, floor + 1)), []
        run.append(letter)
        at = letter.offset + 1
    if at <= floor < end:
        if run or gap is not None:
            yield Part(gap, run, at)
        gap, run = (at, floor + 1), []
    if run or gap is not None:
        yield Part(gap, run, end)
