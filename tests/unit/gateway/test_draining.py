"""When each client of a node that drains is told to move, and when it is moved."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.draining import departures

COUNTS = st.integers(1, 400)
WINDOWS = st.floats(0.1, 3600)


def test_nobody_leaves_an_empty_node() -> None:
    assert list(departures(0, 30.0)) == []


@given(COUNTS, WINDOWS)
def test_everybody_leaves_within_the_window(count: int, window: float) -> None:
    leaving = list(departures(count, window))
    assert len(leaving) == count
    assert leaving[0].goaway_at == 0
    assert leaving[-1].close_at == pytest.approx(window)
    assert all(one.goaway_at < window / 2 < one.close_at for one in leaving)


@given(COUNTS, WINDOWS)
def test_everybody_has_half_of_the_window_to_move(count: int, window: float) -> None:
    for one in departures(count, window):
        assert one.close_at - one.goaway_at >= window / 2 - 1e-9 * window


@given(st.integers(2, 400), WINDOWS)
def test_clients_are_told_and_moved_at_even_distances(count: int, window: float) -> None:
    distance = window / 2 / count
    for one, following in pairwise(departures(count, window)):
        assert following.goaway_at - one.goaway_at == pytest.approx(distance, rel=1e-6)
        assert following.close_at - one.close_at == pytest.approx(distance, rel=1e-6)
