"""The mailbox of a user: the truth about what is to be delivered, kept for a time; as a port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .messages import Letter, Message

__all__ = ["MailboxLimits", "Mailboxes", "Page"]


@dataclass(frozen=True, slots=True)
class MailboxLimits:
    """``length``: messages kept for a user, at least 1; ``ttl_ms``: the longest that any is kept.

    One that expired before an older one counts until that goes too.
    """

    length: int = 1000
    ttl_ms: int = 86_400_000


class Page(NamedTuple):
    """What a mailbox holds beyond an offset, oldest first.

    ``floor`` is the highest offset that was trimmed or has expired undelivered, -1 where none was: who has had less lacks
    something. ``last`` is the newest offset that was ever kept for the user, None before the first. ``is_complete``: no
    further page follows. A page that is not complete has letters. ``first`` is the oldest offset that was ever kept, None
    where that is not known: who has had an older one had it of a mailbox that the store has lost since.
    """

    letters: Sequence[Letter]
    floor: int
    last: int | None
    is_complete: bool
    first: int | None = None


class Mailboxes(Protocol):
    """All mailboxes under one epoch of the targeted topic. All raise `StoreUnavailableError`.

    After an error nobody knows what was done: append the same again. Offsets count within one partition: all messages
    of a user must come from the one that `partition_of` names.
    """

    async def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        """Keep messages, in their order; returns the `Letter.prev` of each.

        ``prev`` is the newest offset that was ever kept before it, None for the first: who has had everything up to there
        lacks nothing, also where that one was trimmed, expired or superseded since. One that is not kept gets the newest kept
        before it. A newer message with the same collapse key removes the older one, which leaves no gap: it was superseded.

        One that is not newer than the newest kept changes nothing. It gets the `prev` it got; where it has left the mailbox,
        the highest offset below it that stands in the mailbox or is not above the floor. That is not above what it got
        unless the floor has passed the message: then something below it may be lost, and who lacks it has to read the mailbox.
        """
        ...

    async def read(self, user: str, after: int, *, limit: int = 100) -> Page:
        """At most ``limit`` kept, unexpired letters with offsets above ``after`` (-1: all)."""
        ...

    async def close(self) -> None: ...
