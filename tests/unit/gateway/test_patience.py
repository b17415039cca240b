"""Records gather only where nobody who was given some lately is in a hurry."""

from collections.abc import Mapping
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.patience import Patience

INTERVALS = {"alerts": 0.0, "quick": 0.05, "board": 0.25, "report": 60.0, "nobody": inf}


def patience_of(intervals: Mapping[str, float] = INTERVALS) -> Patience:
    return Patience(intervals.__getitem__)


@pytest.mark.parametrize(
    ("topic", "gather"),
    [("alerts", 0.0), ("quick", 0.005), ("board", 0.025), ("report", 0.025), ("nobody", 0.025)],
)
def test_records_gather_for_a_tenth_of_the_interval_and_never_long(
    topic: str, gather: float
) -> None:
    patience = patience_of()
    patience.heard([topic], 10.0)
    assert patience.gather(10.1) == pytest.approx(gather)


def test_nothing_gathers_before_anything_was_heard() -> None:
    assert patience_of().gather(10.0) == 0.0


def test_whoever_is_in_a_hurry_has_a_say_while_it_hears_something() -> None:
    patience = patience_of()
    patience.heard(["alerts"], 10.0)
    patience.heard(["board"], 10.2)
    assert patience.gather(10.24) == 0.0
    patience.heard(["board"], 10.3)
    assert patience.gather(10.3) == pytest.approx(0.025)
    patience.heard(["alerts", "board"], 10.4)
    assert patience.gather(10.4) == 0.0


def test_newcomer_in_a_hurry_is_heeded_at_once() -> None:
    intervals = {"board": 0.25}
    patience = patience_of(intervals)
    patience.heard(["board"], 10.0)
    intervals["board"] = 0.0
    assert patience.gather(10.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from(sorted(INTERVALS)), st.floats(0, 1)), min_size=1))
def test_nobody_who_was_heard_lately_waits_longer_than_a_tenth_of_its_interval(
    heard: list[tuple[str, float]],
) -> None:
    patience = patience_of()
    now = 0.0
    for topic, pause in heard:
        now += pause
        patience.heard([topic], now)
        gather = patience.gather(now)
        assert 0 <= gather <= 0.025
        assert gather * 10 <= INTERVALS[topic] + 1e-9
