"""How long a message may still be delivered."""

from typing import Final

from tidewire.targeting.messages import Letter, Message

__all__ = ["NOW_WINDOW_MS", "letter_of_message", "until_ms"]

NOW_WINDOW_MS: Final = 10_000
"""What "now or never" (ttl 0) means by a wall clock: other machines' clocks differ, and batches take time."""


def until_ms(message: Message, ttl_ms: int) -> int:
    """Unix milliseconds from which on the message is not delivered any more; ``ttl_ms`` is the mailbox's."""
    if not message.is_kept:
        return message.ts_ms + NOW_WINDOW_MS
    return message.expires_at_ms(ttl_ms)


def letter_of_message(message: Message, prev: int | None, ttl_ms: int) -> Letter:
    """What goes to the nodes, once the mailbox has told ``prev``."""
    return Letter(
        user=message.user,
        id=message.id,
        data=message.data,
        ts_ms=message.ts_ms,
        expires_at_ms=until_ms(message, ttl_ms),
        partition=message.partition,
        offset=message.offset,
        prev=prev,
        is_kept=message.is_kept,
        collapse_key=message.collapse_key,
        traceparent=message.traceparent,
    )
