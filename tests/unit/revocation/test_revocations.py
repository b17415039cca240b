"""The set of revocations: held to one that is slow and obvious."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.claims import Identity
from tidewire.revocation.records import Kind, Revocation, Subject
from tidewire.revocation.revocations import GRACE, Revocations

USERS = ["ana", "bob"]
IDS = ["t1", "t2", "ana"]  # a token may be called like a user
SUBJECTS = [Subject(Kind.USER, u) for u in USERS] + [Subject(Kind.TOKEN, t) for t in IDS]
TIMES = [0.0, 10.0, 10.5, 11.0, 20.0]


def identity(
    user: str = "ana", token_id: str | None = "t1", issued_at: float | None = 10.0
) -> Identity:
    return Identity(user, {}, 100.0, token_id=token_id, issued_at=issued_at)


@dataclass
class Obvious:
    """Everything that was ever said, searched from the newest on."""

    said: list[tuple[Subject, Revocation | None]] = field(default_factory=list)

    def is_revoked(self, who: Identity) -> bool:
        return any(self._concerns(subject, who) for subject in SUBJECTS)

    def expire(self, now: float) -> None:
        over = [s for s in SUBJECTS if (r := self._newest(s)) and r.until is not None]
        for subject in over:
            newest = self._newest(subject)
            if newest is not None and newest.until is not None and newest.until + GRACE <= now:
                self.said.append((subject, None))

    def _newest(self, subject: Subject) -> Revocation | None:
        return next((r for s, r in reversed(self.said) if s == subject), None)

    def _concerns(self, subject: Subject, who: Identity) -> bool:
        newest = self._newest(subject)
        if newest is None or subject.name != (
            who.user if subject.kind is Kind.USER else who.token_id
        ):
            return False
        return (
            newest.issued_before is None
            or who.issued_at is None
            or who.issued_at < newest.issued_before
        )


revocations = st.builds(
    Revocation,
    st.none() | st.sampled_from(TIMES),
    st.none() | st.sampled_from(TIMES),
)
words = st.tuples(st.sampled_from(SUBJECTS), st.none() | revocations)
steps = st.lists(words | st.sampled_from([0.0, GRACE + 10.0, GRACE + 10.6]), max_size=40)


@given(steps)
def test_it_answers_like_the_obvious_one(told: list[object]) -> None:
    held, obvious = Revocations(), Obvious()
    for step in told:
        match step:
            case (Subject() as subject, None):
                held.lift(subject)
                obvious.said.append((subject, None))
            case (Subject() as subject, Revocation() as revocation):
                held.revoke(subject, revocation)
                obvious.said.append((subject, revocation))
            case float(now):
                held.expire(now)
                obvious.expire(now)
        for user in USERS:
            for token_id in [None, *IDS]:
                for issued_at in [None, *TIMES]:
                    who = identity(user, token_id, issued_at)
                    assert held.is_revoked(who) == obvious.is_revoked(who)
    assert held.dropped == 0


@given(st.lists(words, max_size=80), st.integers(1, 4))
def test_it_never_holds_more_than_it_may(
    told: list[tuple[Subject, Revocation | None]], most: int
) -> None:
    held = Revocations(most=most)
    for subject, revocation in told:
        if revocation is None:
            held.lift(subject)
        else:
            held.revoke(subject, revocation)
        assert len(held) <= most


def test_one_that_is_told_again_and_again_takes_no_more_room() -> None:
    held = Revocations()
    for n in range(10_000):
        held.revoke(SUBJECTS[0], Revocation(float(n)))
    assert len(held) == 1
    assert len(held._ends) < 100


@pytest.mark.parametrize(
    ("issued_at", "is_revoked"), [(9.0, True), (10.0, False), (None, True), (math.nan, True)]
)
def test_token_that_does_not_say_when_it_was_issued_was_so_before(
    issued_at: float | None, is_revoked: bool
) -> None:
    held = Revocations()
    held.revoke(Subject(Kind.USER, "ana"), Revocation(10.0))
    assert held.is_revoked(identity(issued_at=issued_at)) == is_revoked


def test_token_without_an_id_cannot_be_named_by_one() -> None:
    held = Revocations()
    for name in ("None", "null", "ana"):
        held.revoke(Subject(Kind.TOKEN, name), Revocation())
    assert not held.is_revoked(identity(token_id=None))


def test_revocation_outlives_a_token_that_clocks_and_leeway_let_live_longer() -> None:
    held = Revocations()
    held.revoke(Subject(Kind.TOKEN, "t1"), Revocation(until=100.0))
    held.expire(100.0 + GRACE - 1)
    assert held.is_revoked(identity())
    held.expire(100.0 + GRACE)
    assert not held.is_revoked(identity())
    assert len(held) == 0


def test_where_there_are_too_many_the_one_that_is_over_first_goes_and_is_counted() -> None:
    held = Revocations(most=2)
    held.revoke(Subject(Kind.USER, "ana"), Revocation(10.0))
    held.revoke(Subject(Kind.TOKEN, "soon"), Revocation(until=50.0))
    held.revoke(Subject(Kind.TOKEN, "later"), Revocation(until=90.0))
    assert held.dropped == 1
    assert held.is_revoked(identity(issued_at=1.0))
    assert held.is_revoked(identity("bob", "later"))
    assert not held.is_revoked(identity("bob", "soon"))
