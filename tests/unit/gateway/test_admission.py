"""Who may come in, and how recent trouble counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.core.admission import Load, Overload, overload_of
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.peaks import RecentPeak
from tidewire_gateway.instruments import Instruments

LIMITS = Limits(max_connections=10, max_handshakes=5, max_loop_lag=1.0, max_memory=1000)
BELOW = Load(connections=9, handshakes=4, loop_lag=1.0, memory=1000, is_moving=False)


def test_node_below_every_limit_accepts() -> None:
    assert overload_of(BELOW, LIMITS) is None


@pytest.mark.parametrize(
    ("load", "overload"),
    [
        (replace(BELOW, connections=10), Overload.CONNECTIONS),
        (replace(BELOW, handshakes=5), Overload.HANDSHAKES),
        (replace(BELOW, loop_lag=1.001), Overload.LOOP),
        (replace(BELOW, memory=1001), Overload.MEMORY),
        (replace(BELOW, is_moving=True), Overload.DRAINING),
    ],
)
def test_node_at_a_limit_refuses_and_says_which(load: Load, overload: Overload) -> None:
    assert overload_of(load, LIMITS) is overload


def test_memory_is_not_looked_at_unless_it_has_a_limit() -> None:
    assert overload_of(replace(BELOW, memory=1 << 60), replace(LIMITS, max_memory=0)) is None


def test_every_refusal_can_be_counted() -> None:
    instruments = Instruments(create_metrics("gateway"))
    for overload in Overload:
        instruments.handshake(overload)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 9)), max_size=50),
    st.floats(0.1, 5),
    st.floats(0, 6),
)
def test_peak_is_the_highest_measurement_of_the_window(
    steps: list[tuple[float, float]], window: float, later: float
) -> None:
    peak = RecentPeak(window)
    now, measured = 0.0, []
    for pause, value in steps:
        now += pause
        peak.measured(value, now)
        measured.append((now, value))
        recent = [v for at, v in measured if at >= now - window]
        assert peak.at(now) == max(recent)
    now += later
    recent = [v for at, v in measured if at >= now - window]
    assert peak.at(now) == max(recent, default=0.0)
