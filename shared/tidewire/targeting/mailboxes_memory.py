"""Mailboxes in this process, for tests and for a single process without Redis."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .errors import StoreUnavailableError
from .mailboxes import MailboxLimits, Page
from .messages import Letter, Message

__all__ = ["MemoryMailboxes"]


class MemoryMailboxes:
    """Port `Mailboxes`. ``now_ms`` tells Unix milliseconds. Grows with the number of users that ever had a message."""

    def __init__(self, limits: MailboxLimits, now_ms: Callable[[], int]) -> None:
        self._limits = limits
        self._now_ms = now_ms
        self._boxes: defaultdict[str, _Mailbox] = defaultdict(_Mailbox)
        self._is_available = True

    def set_available(self, is_available: bool) -> None:
        """Have every call fail from here on, or succeed again."""
        self._is_available = is_available

    async def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        self._require_available()
        now = self._now_ms()
        prevs: list[int | None] = []
        grown: set[str] = set()
        for message in messages:
            box = self._boxes[message.user]
            if not message.is_kept or message.offset <= box.last:
                prevs.append(_offset(box.prev_of(message.offset)))
                continue
            prev = _offset(box.last)
            box.keep(_letter(message, prev, message.expires_at_ms(self._limits.ttl_ms)), now)
            prevs.append(prev)
            grown.add(message.user)
        for user in grown:
            self._boxes[user].trim(self._limits.length, now)
        return prevs

    async def read(self, user: str, after: int, *, limit: int = 100) -> Page:
        self._require_available()
        assert limit > 0
        now = self._now_ms()
        box = self._boxes.get(user, _Mailbox())
        rest = [letter for offset, letter in box.letters.items() if offset > after]
        floor = box.floor
        while True:
            found, rest = rest[:limit], rest[limit:]
            letters = [letter for letter in found if letter.expires_at_ms > now]
            floor = max([floor, *(x.offset for x in found if x.expires_at_ms <= now)])
            is_complete = len(found) < limit or found[-1].offset >= box.last
            if letters or is_complete:
                first = _offset(box.first)
                return Page(letters, floor, _offset(box.last), is_complete, first)

    async def close(self) -> None:
        self._boxes.clear()

    def _require_available(self) -> None:
        if not self._is_available:
            raise StoreUnavailableError("the mailboxes are switched off: switch them on again")


@dataclass(slots=True)
class _Mailbox:
    """Letters by offset, oldest first; -1 stands for no offset."""

    letters: dict[int, Letter] = field(default_factory=dict)
    first: int = -1
    last: int = -1
    floor: int = -1
    offsets_by_collapse_key: dict[str, int] = field(default_factory=dict)

    def prev_of(self, offset: int) -> int:
        """The `Letter.prev` of a message that is not to be kept (again)."""
        if offset in self.letters:
            prev = self.letters[offset].prev
            return -1 if prev is None else prev
        if offset > self.last:
            return self.last
        return max(_below(self.letters, offset), min(self.floor, offset - 1))

    def keep(self, letter: Letter, now: int) -> None:
        self.last = letter.offset
        if self.first < 0:
            self.first = letter.offset
        key = letter.collapse_key
        if key is not None and (older := self.offsets_by_collapse_key.pop(key, None)) is not None:
            del self.letters[older]
        if letter.expires_at_ms <= now:
            self.floor = letter.offset
            return
        self.letters[letter.offset] = letter
        if key is not None:
            self.offsets_by_collapse_key[key] = letter.offset

    def trim(self, length: int, now: int) -> None:
        """Let the oldest go until the mailbox is short enough and the oldest has not expired."""
        while self.letters:
            oldest = next(iter(self.letters.values()))
            if len(self.letters) <= length and oldest.expires_at_ms > now:
                return
            del self.letters[oldest.offset]
            self.floor = max(self.floor, oldest.offset)
            if oldest.collapse_key is not None:
                del self.offsets_by_collapse_key[oldest.collapse_key]


def _letter(message: Message, prev: int | None, expires_at_ms: int) -> Letter:
    return Letter(
        user=message.user,
        id=message.id,
        data=message.data,
        ts_ms=message.ts_ms,
        expires_at_ms=expires_at_ms,
        partition=message.partition,
        offset=message.offset,
        prev=prev,
        collapse_key=message.collapse_key,
        traceparent=message.traceparent,
    )


def _below(offsets: Iterable[int], bound: int) -> int:
    return max((offset for offset in offsets if offset < bound), default=-1)


def _offset(number: int) -> int | None:
    return None if number < 0 else number
