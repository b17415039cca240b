"""Handshakes a second, and how a crowd that is refused comes back."""

import heapq
import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.handshake_rate import HandshakeRate


@given(
    st.integers(1, 50),
    st.integers(1, 100),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=300),
)
def test_no_more_come_in_than_the_burst_and_what_time_has_brought(
    per_second: int, burst: int, pauses: list[float]
) -> None:
    rate = HandshakeRate(per_second, burst, 0.0)
    now, accepted = 0.0, 0
    for pause in pauses:
        now += pause
        accepted += rate.take(now) == 0
        assert accepted <= burst + now * per_second + 1e-6
    assert accepted >= min(len(pauses), burst)


def test_after_a_rest_the_burst_is_whole_again() -> None:
    rate = HandshakeRate(10, 20, 0.0)
    assert [rate.take(0.0) == 0 for _ in range(25)].count(True) == 20
    assert [rate.take(2.0) == 0 for _ in range(25)].count(True) == 20


def test_each_who_is_refused_has_a_turn_of_its_own() -> None:
    rate = HandshakeRate(100, 1, 0.0)
    rate.take(0.0)
    waits = [rate.take(0.0) for _ in range(5000)]
    assert waits == sorted(waits)
    assert min(b - a for a, b in pairwise(waits)) > 1 / 100
    assert waits[999] == pytest.approx(11.0)


def test_who_is_refused_for_another_reason_has_a_turn_of_the_same_row() -> None:
    rate = HandshakeRate(100, 1, 0.0)
    rate.take(0.0)
    waits = [rate.take(0.0) if n % 2 else rate.turn(0.0) for n in range(1000)]
    assert waits == pytest.approx([0.011 * n for n in range(1, 1001)])
    assert rate.take(1.0) == 0  # a turn takes nothing of what there is


def test_turns_that_have_passed_delay_nobody() -> None:
    rate = HandshakeRate(100, 1, 0.0)
    for _ in range(1000):
        rate.take(0.0)
    rate.take(1000.0)
    assert rate.take(1000.0) == pytest.approx(0.011)


@given(st.floats(0.01, 1000), st.integers(100, 5000))
def test_nobody_waits_longer_than_a_minute_however_many_are_refused(
    per_second: float, crowd: int
) -> None:
    rate = HandshakeRate(per_second, 1, 0.0)
    rate.take(0.0)
    assert all(0 < rate.take(0.0) <= 60 for _ in range(crowd))


def test_those_beyond_a_minute_spread_over_its_later_half() -> None:
    rate = HandshakeRate(100, 1, 0.0)
    waits = [rate.take(0.0) for _ in range(20_000)]
    beyond = Counter(int(wait) for wait in waits[6000:])
    assert set(beyond) <= set(range(30, 61))
    assert max(beyond.values()) < 2 * len(waits[6000:]) / 30


def test_crowd_is_back_in_little_more_than_the_time_it_needs() -> None:
    """As drill 13: with a jitter of a second, 95 % within 1.3 times that time, nobody with more than three tries."""
    crowd, per_second = 5000, 200
    chance = random.Random(13)
    rate = HandshakeRate(per_second, per_second, 0.0)
    coming = [(chance.random() / 2, n) for n in range(crowd)]
    heapq.heapify(coming)
    tries: Counter[int] = Counter()
    came: list[float] = []
    while coming:
        now, n = heapq.heappop(coming)
        tries[n] += 1
        if wait := rate.take(now):
            heapq.heappush(coming, (now + math.ceil(wait) + chance.random(), n))
        else:
            came.append(now)
    assert sorted(came)[int(0.95 * crowd)] < 1.3 * crowd / per_second
    assert max(tries.values()) <= 3


@pytest.mark.parametrize("crowd", [2_000, 10_000, 20_000, 60_000])
def test_crowd_that_comes_at_once_is_in_before_long_and_without_many_tries(crowd: int) -> None:
    """As a node's clients do when it ends: each refused one comes back after its time, and some jitter."""
    chance = random.Random(crowd)
    rate = HandshakeRate(500, 1000, 0.0)
    coming = [(0.0, n) for n in range(crowd)]
    tries, last, at_once = 0, 0.0, 0
    while coming:
        now, n = heapq.heappop(coming)
        tries += 1
        wait = rate.take(now)
        if wait:
            again = now + math.ceil(wait) + chance.random()
            heapq.heappush(coming, (again, n))
            at_once += now > 0
        last = now
    assert last < 3 * crowd / 500 + 10
    assert tries < 3 * crowd
    assert at_once < crowd
