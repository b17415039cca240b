"""The names that the topics of messages to users have where nobody says otherwise."""

from typing import Final

__all__ = ["DEAD_LETTERS", "INBOX", "TARGETED"]

TARGETED: Final = "tidewire.targeted"
INBOX: Final = "tidewire.inbox"
DEAD_LETTERS: Final = "tidewire.targeted.dlq"
