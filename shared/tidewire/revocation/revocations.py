"""Which tokens are revoked (pure): the newest word on each token and each user, for as long as it matters."""

import heapq
import math
from itertools import count
from typing import Final

from ..identity.claims import Identity
from .records import Kind, Revocation, Subject

__all__ = ["GRACE", "MOST", "Revocations"]

GRACE: Final = 3600.0
"""Seconds beyond its ``until`` that a revocation is held: clocks differ, and a verifier forgives a token some seconds."""
MOST: Final = 200_000
"""About 60 MB."""
_SLACK: Final = 64


class Revocations:
    """At most ``most`` of them. Where there are more, the one that is over first goes first, and ``dropped`` counts it.

    Those that are never over go last; of several that are over together, the one that was told first.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self.dropped = 0
        self._most = most
        self._by_token: dict[str, Revocation] = {}
        self._by_user: dict[str, Revocation] = {}
        self._order = count()
        # What is over first; entries of what was told anew, or lifted, are passed over.
        self._ends: list[tuple[float, int, Subject, Revocation]] = []

    def __len__(self) -> int:
        return len(self._by_token) + len(self._by_user)

    def is_revoked(self, identity: Identity) -> bool:
        """Whether its token is; takes the same time however many there are."""
        token_id, issued_at = identity.token_id, identity.issued_at
        if token_id is not None and _concerns(self._by_token.get(token_id), issued_at):
            return True
        return _concerns(self._by_user.get(identity.user), issued_at)

    def revoke(self, subject: Subject, revocation: Revocation) -> None:
        """Take in the newest word on ``subject``; what was said before no longer counts."""
        self._held(subject.kind)[subject.name] = revocation
        heapq.heappush(self._ends, (_end_of(revocation), next(self._order), subject, revocation))
        while len(self) > self._most:
            self._drop_first()
        if len(self._ends) > 2 * len(self) + _SLACK:
            self._ends = [end for end in self._ends if self._counts(end[2], end[3])]
            heapq.heapify(self._ends)

    def lift(self, subject: Subject) -> None:
        """Its tokens are as good as before."""
        self._held(subject.kind).pop(subject.name, None)

    def expire(self, now: float) -> None:
        """Forget what is over, by Unix seconds: its tokens are refused without it."""
        while self._ends and self._ends[0][0] + GRACE <= now:
            _, _, subject, revocation = heapq.heappop(self._ends)
            if self._counts(subject, revocation):
                del self._held(subject.kind)[subject.name]

    def _drop_first(self) -> None:
        while True:
            _, _, subject, revocation = heapq.heappop(self._ends)
            if self._counts(subject, revocation):
                del self._held(subject.kind)[subject.name]
                self.dropped += 1
                return

    def _counts(self, subject: Subject, revocation: Revocation) -> bool:
        return self._held(subject.kind).get(subject.name) is revocation

    def _held(self, kind: Kind) -> dict[str, Revocation]:
        return self._by_token if kind is Kind.TOKEN else self._by_user


def _concerns(revocation: Revocation | None, issued_at: float | None) -> bool:
    if revocation is None:
        return False
    if revocation.issued_before is None or issued_at is None:
        return True
    return not issued_at >= revocation.issued_before  # also where the claim is no number


def _end_of(revocation: Revocation) -> float:
    return math.inf if revocation.until is None else revocation.until
