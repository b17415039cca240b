"""Back-off: full jitter, doubling, capped, never sooner than the server asked."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire_client.backoff import Backoff, BackoffLimits

LIMITS = BackoffLimits(first=0.5, most=20.0, stable_window=10.0)


def test_window_doubles_up_to_the_cap() -> None:
    backoff = Backoff(LIMITS, random=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 20, 20]


def test_full_jitter_may_choose_no_delay() -> None:
    backoff = Backoff(LIMITS, random=lambda: 0.0)
    assert [backoff.next_delay() for _ in range(3)] == [0, 0, 0]


@given(
    chance=st.floats(0, 1), attempts=st.integers(1, 2000), asked=st.none() | st.floats(0, 10_000)
)
def test_delay_stays_within_what_was_asked_and_the_window(
    chance: float, attempts: int, asked: float | None
) -> None:
    backoff = Backoff(LIMITS, random=lambda: chance)
    for _ in range(attempts):
        delay = backoff.next_delay(asked)
    least = min(asked or 0.0, 300.0)
    assert least <= delay <= least + LIMITS.most


def test_stable_connection_starts_the_series_afresh() -> None:
    backoff = Backoff(LIMITS, random=lambda: 1.0)
    for _ in range(4):
        backoff.next_delay()
    backoff.connection_lived(10.0)
    assert backoff.attempts == 0
    assert backoff.next_delay() == 0.5


def test_connection_that_ends_at_once_continues_the_series() -> None:
    backoff = Backoff(LIMITS, random=lambda: 1.0)
    for _ in range(3):
        backoff.next_delay()
        backoff.connection_lived(0.2)
    assert backoff.next_delay() == 4.0
