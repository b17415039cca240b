"""Who may come in, and how recent trouble counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.telemetry.metric_table import METRICS
from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.core.admission import Admission, Load, Overload, overload_of
from tidewire_gateway.core.handshake_problems import limited, overloaded
from tidewire_gateway.core.limits import Limit, Limits
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
        assert overloaded(overload, 3).outcome == overload
    for limit in (Limit.ADDRESS_CONNECTIONS, Limit.ADDRESS_HANDSHAKES):
        instruments.handshake(limited(limit, 3).outcome)


def test_every_limit_is_counted_by_its_name() -> None:
    (spec,) = [s for s in METRICS if s.name == "limited_total"]
    assert tuple(spec.labels["limit"]) == tuple(Limit)


LIFTED = replace(
    LIMITS,
    connections_per_user=0,
    connections_per_address=0,
    address_handshakes_per_second=0,
    handshakes_per_second=0,
)


def test_lifted_limits_let_everybody_in() -> None:
    free = Admission(LIFTED, 0.0)
    for _ in range(5000):
        assert free.refuse("a", 0.0) is None
        assert free.claim("ann")


def test_crowd_that_a_busy_node_refuses_has_turns_where_there_is_a_rate() -> None:
    busy = Admission(replace(LIFTED, handshakes_per_second=1, handshakes_burst=1), 0.0)
    assert [busy.turn(0.0) for _ in range(3)] == pytest.approx([1.1, 2.2, 3.3])
    assert Admission(LIFTED, 0.0).turn(0.0) == 0


def test_address_that_is_refused_takes_nothing_of_what_all_have_together() -> None:
    limits = replace(
        LIFTED,
        address_handshakes_per_second=1,
        address_handshakes_burst=3,
        handshakes_per_second=1,
        handshakes_burst=5,
    )
    shared = Admission(limits, 0.0)
    refusals = [shared.refuse("a", 0.0) for _ in range(100)]
    assert refusals[:3] == [None] * 3
    assert {r and r.reason for r in refusals[3:]} == {Limit.ADDRESS_HANDSHAKES}
    assert [shared.refuse("b", 0.0) for _ in range(2)] == [None, None]
    refused = shared.refuse("b", 0.0)
    assert refused is not None
    assert refused.reason is Overload.RATE


def test_address_with_all_its_connections_is_refused_and_others_are_not() -> None:
    limits = replace(LIFTED, connections_per_address=2, handshakes_per_second=1, handshakes_burst=1)
    full = Admission(limits, 0.0)
    full.addresses.opened("a")
    full.addresses.opened("a")
    for _ in range(10):
        refused = full.refuse("a", 0.0)
        assert refused is not None
        assert refused.reason is Limit.ADDRESS_CONNECTIONS
    assert full.refuse("b", 0.0) is None


def test_user_has_as_many_connections_as_he_may_until_one_ends() -> None:
    users = Admission(replace(LIFTED, connections_per_user=2), 0.0)
    assert [users.claim("ann") for _ in range(3)] == [True, True, False]
    assert users.claim("bob")
    users.release("ann")
    assert [users.claim("ann") for _ in range(2)] == [True, False]
    for user in ("ann", "ann", "bob"):
        users.release(user)
    assert not users._connections_by_user  # nobody is remembered who is gone


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
