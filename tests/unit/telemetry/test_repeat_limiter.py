from hypothesis import given
from hypothesis import strategies as st

from tidewire.telemetry.limits import RepeatLimiter


def test_the_first_few_are_told_then_they_are_held_back() -> None:
    limiter = RepeatLimiter(limit=2, window=10)
    assert [limiter.admit("a", now) for now in (0.0, 1.0, 2.0, 3.0)] == [0, 0, None, None]


def test_the_next_window_says_how_many_were_held_back() -> None:
    limiter = RepeatLimiter(limit=1, window=10)
    assert [limiter.admit("a", now) for now in (0.0, 1.0, 2.0, 10.0, 20.0)] == [0, None, None, 2, 0]


def test_messages_are_counted_apart() -> None:
    limiter = RepeatLimiter(limit=1, window=10)
    assert [limiter.admit(key, 0.0) for key in "abab"] == [0, 0, None, None]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.floats(0, 5)), max_size=80),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_none_is_lost_from_the_count_and_memory_is_bounded(
    calls: list[tuple[int, float]], limit: int, max_keys: int
) -> None:
    limiter = RepeatLimiter(limit=limit, window=7.0, max_keys=max_keys)
    now, told, reported = 0.0, 0, 0
    for key, step in calls:
        now += step
        held_back = limiter.admit(key, now)
        told += held_back is not None
        reported += held_back or 0
    assert told + reported <= len(calls)
    assert len(limiter._windows) <= max_keys
