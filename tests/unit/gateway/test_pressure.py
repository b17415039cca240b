"""When a connection is congested, drained, stalled: whatever the kernel takes, and whenever it is looked at."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.pressure import (
    NEARLY_EMPTY,
    Change,
    Pressure,
    PressureState,
    Unsent,
)

HIGH_WATER = 64 * 1024
UNSENT_TIMEOUT = 1.0
STALL_TIMEOUT = 30.0
SWEEP_INTERVAL = 0.25
PIECE = 2 * NEARLY_EMPTY


def calm() -> Pressure:
    return Pressure(HIGH_WATER, UNSENT_TIMEOUT, STALL_TIMEOUT)


def congested(now: float = 0.0, acknowledged: int = 0) -> Pressure:
    pressure = calm()
    pressure.overfull(now, Unsent(HIGH_WATER + 1, 0, 0, acknowledged))
    return pressure


class Socket:
    """Bytes written, taken by the kernel, sent; knows when each one that is unsent was written."""

    def __init__(self) -> None:
        self.written: deque[tuple[int, float]] = deque()
        self.total = self.taken = self.sent = 0

    def write(self, size: int, now: float) -> None:
        self.total += size
        self.written.append((self.total, now))

    def take(self, size: int) -> None:
        self.taken = min(self.total, self.taken + size)

    def send(self, size: int) -> None:
        self.sent = min(self.taken, self.sent + size)
        while self.written and self.written[0][0] <= self.sent:
            self.written.popleft()

    def look(self) -> Unsent:
        return Unsent(self.total - self.taken, self.taken - self.sent, self.sent, self.sent)

    def waited(self, now: float) -> float:
        """How long its earliest unsent byte has waited."""
        return now - self.written[0][1] if self.written else 0.0


PIECES = st.integers(0, 8).map(lambda n: n * PIECE)
STEPS = st.lists(st.tuples(PIECES, PIECES, PIECES, st.floats(0.01, SWEEP_INTERVAL)), max_size=60)


@given(STEPS)
def test_sweep_finds_the_earliest_unsent_byte_when_it_has_waited_and_not_before(
    steps: list[tuple[int, int, int, float]],
) -> None:
    pressure, sock, now = calm(), Socket(), 0.0
    for size, taken, sent, pause in steps:
        sock.write(size, now)
        sock.take(taken)
        sock.send(sent)
        now += pause
        unsent = sock.look()
        is_congested = pressure.swept(now, unsent)
        waited = sock.waited(now)
        assert pressure.is_overfull(unsent.buffered) <= is_congested
        if is_congested:
            assert unsent.buffered > HIGH_WATER or waited >= UNSENT_TIMEOUT
            return
        assert waited < UNSENT_TIMEOUT + 2 * SWEEP_INTERVAL


def test_sweep_remembers_little_however_often_it_looks() -> None:
    pressure, most = calm(), 0
    for tick in range(1000):
        pressure.swept(tick / 1000, Unsent(10 * tick + 1, 0, 0, 0))
        most = max(most, len(pressure._marks or ()))
    assert 2 <= most <= 9


def test_bytes_that_flow_on_are_no_congestion_however_many() -> None:
    pressure, sock = calm(), Socket()
    for tick in range(100):
        sock.write(10 * PIECE, tick / 4)
        sock.take(10 * PIECE)
        sock.send(8 * PIECE if tick % 2 else 12 * PIECE)
        assert not pressure.swept(tick / 4, sock.look())


def test_few_bytes_in_the_kernel_are_never_congestion() -> None:
    pressure = calm()
    for now in range(10):
        assert not pressure.swept(float(now), Unsent(0, NEARLY_EMPTY, 0, 0))
    assert not pressure.is_suspect


def test_bytes_in_the_kernel_count_as_unsent() -> None:
    pressure = calm()
    unsent = Unsent(0, 16 * 1024, 500, 500)
    assert not pressure.swept(0.0, unsent)
    assert pressure.is_suspect
    assert pressure.swept(UNSENT_TIMEOUT, unsent)


def test_without_figures_of_the_kernel_a_buffer_that_is_never_empty_is_congestion() -> None:
    pressure = calm()
    assert not pressure.swept(0.0, Unsent(500, 0, 0, -500))
    assert not pressure.swept(0.5, Unsent(0, 0, 0, 0))
    assert not pressure.swept(1.0, Unsent(500, 0, 0, -500))
    assert not pressure.swept(1.5, Unsent(300, 0, 0, -300))
    assert pressure.swept(2.0, Unsent(800, 0, 0, -800))


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_drained_means_nothing_buffered_and_next_to_nothing_in_the_kernel(
    buffered: int, in_kernel: int
) -> None:
    change = congested().looked(1.0, Unsent(buffered, in_kernel, 0, 1))
    is_drained = buffered == 0 and in_kernel <= NEARLY_EMPTY
    assert (change is Change.DRAINED) == is_drained


def test_what_is_given_after_draining_and_stays_unsent_congests_at_once() -> None:
    pressure = congested()
    assert pressure.looked(0.1, Unsent(0, 0, 9, 9)) is Change.DRAINED
    assert pressure.looked(0.105, Unsent(0, 5000, 9, 9)) is Change.NONE
    assert pressure.looked(0.11, Unsent(0, 5000, 9, 9)) is Change.CONGESTED
    assert pressure.state is PressureState.CONGESTED


def test_one_look_at_bytes_that_were_written_this_moment_congests_nobody() -> None:
    pressure = congested()
    pressure.looked(0.0, Unsent(0, 0, 9, 9))
    for tick in range(1, 19):
        unsent = Unsent(5000 if tick % 2 else 0, 0, 9, 9)
        assert pressure.looked(tick / 20, unsent) is Change.NONE
    assert pressure.looked(UNSENT_TIMEOUT, Unsent(0, 0, 9, 9)) is Change.CALM
    assert pressure.state is PressureState.CALM


def test_calm_again_after_having_taken_all_for_a_while() -> None:
    pressure = congested()
    assert pressure.looked(5.0, Unsent(0, 0, 9, 9)) is Change.DRAINED
    assert pressure.looked(5.9, Unsent(0, 0, 9, 9)) is Change.NONE
    assert pressure.looked(6.0, Unsent(0, 0, 9, 9)) is Change.CALM


@given(st.lists(st.tuples(st.floats(0.005, 20), st.booleans()), max_size=40))
def test_stalled_means_that_nothing_arrived_for_the_whole_timeout(
    looks: list[tuple[float, bool]],
) -> None:
    pressure, now, moved_at, acknowledged = congested(), 0.0, 0.0, 0
    for pause, is_moving in looks:
        now += pause
        if is_moving:
            moved_at, acknowledged = now, acknowledged + 1
        change = pressure.looked(now, Unsent(1, 0, 0, acknowledged))
        is_stalled = now - moved_at >= STALL_TIMEOUT
        assert change is (Change.STALLED if is_stalled else Change.NONE)


def test_time_before_congestion_does_not_count_as_stalled() -> None:
    pressure = congested(now=100.0, acknowledged=7)
    assert pressure.looked(101.0, Unsent(1, 0, 0, 7)) is Change.NONE
    assert pressure.looked(131.0, Unsent(1, 0, 0, 7)) is Change.STALLED


def test_looks_come_quickly_first_and_ten_times_a_second_then() -> None:
    pressure = congested()
    intervals = []
    for _ in range(8):
        intervals.append(pressure.look_interval)
        pressure.looked(0.0, Unsent(1, 0, 0, 0))
    assert intervals == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.1, 0.1])
    pressure.hasten()
    assert pressure.look_interval == 0.005
