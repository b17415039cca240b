"""Whose tokens were revoked, and since when nothing may reach them any more; pure."""

from .entries import Revoked
from .violations import Finding, Rule

__all__ = ["ALLOWANCE", "RevokedUsers"]

ALLOWANCE = 1.0
"""Seconds from the broker's acknowledgement until the last client has had its last event."""


class RevokedUsers:
    """A client has one token throughout: whoever speaks for a revoked user has one that is."""

    def __init__(self) -> None:
        self._by_user: dict[str, list[Revoked]] = {}

    def add(self, entry: Revoked) -> None:
        self._by_user.setdefault(entry.user, []).append(entry)

    def fault(self, user: str | None, type_: str, at: float) -> Finding | None:
        """What is wrong with the arrival of a message at a client of this user."""
        if user is None:
            return None
        for revoked in self._by_user.get(user, ()):
            if at > revoked.at + ALLOWANCE and (revoked.until is None or at < revoked.until):
                text = f"{type_}, {at - revoked.at:.1f} s after the tokens of {user} were revoked"
                return Finding(Rule.REVOKED, text)
        return None
