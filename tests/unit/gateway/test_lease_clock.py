"""A node's right to its slot, whatever is paused and however late the answers come."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.targeting.registry import Lease
from tidewire_gateway.core.lease_clock import LeaseClock

EPOCH = "e" * 32
TIMES = st.floats(0, 100, allow_nan=False)


def held(sent_at: float, lease_ms: int = 10_000) -> LeaseClock:
    clock = LeaseClock()
    clock.granted(Lease(3, EPOCH, lease_ms), sent_at)
    return clock


def test_nothing_is_accepted_without_a_lease() -> None:
    assert not LeaseClock().accepts(EPOCH, 0.0)


def test_records_of_another_epoch_are_not_accepted() -> None:
    assert held(0.0).accepts(EPOCH, 1.0)
    assert not held(0.0).accepts("f" * 32, 1.0)


def test_lease_counts_from_the_sending_of_what_granted_it() -> None:
    clock = held(sent_at=0.0)  # the answer came at 9
    assert clock.accepts(EPOCH, 9.9)
    assert not clock.accepts(EPOCH, 10.0)


def test_renewal_counts_from_its_sending_too() -> None:
    clock = held(0.0)
    assert clock.renewed(10_000, sent_at=2.0, now=9.0)
    assert clock.is_held(11.9)
    assert not clock.is_held(12.0)


def test_renewal_that_is_answered_after_the_end_brings_nothing_back() -> None:
    clock = held(0.0)
    assert not clock.renewed(10_000, sent_at=9.0, now=10.0)
    assert not clock.is_held(10.0)


def test_lost_lease_accepts_nothing() -> None:
    clock = held(0.0)
    clock.lost()
    assert not clock.accepts(EPOCH, 1.0)
    assert not clock.renewed(10_000, 1.0, 1.0)


@given(st.lists(st.tuples(TIMES, TIMES), max_size=20), TIMES, TIMES)
def test_node_never_acts_longer_than_the_registry_waits(
    renewals: list[tuple[float, float]], silence: float, look: float
) -> None:
    """The registry counts from when it takes a renewal, which is never before that was sent."""
    clock, now, registry_ends_at = held(0.0), 0.0, 10.0
    for pause, travel in renewals:
        sent_at = now + pause
        now = sent_at + travel
        if sent_at < registry_ends_at:
            registry_ends_at = sent_at + travel + 10.0
        if not clock.renewed(10_000, sent_at, now):
            break
    at = now + silence + look
    assert not clock.is_held(at) or at < registry_ends_at
