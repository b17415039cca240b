"""Which changes of a flight its followers are told of, and in which words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_flights.events import FLIGHTS, BoardRules, Status, flight_events
from tidewire_flights.flights import Flight
from tidewire_flights.following.notices import DELAY_STEPS, Stage, notice_of, stage_of
from unit.flights.flight_examples import any_flight, flight

RULES = BoardRules()
KEY = "JFK/B6-704"
ROW = {"carrier": "B6", "flight": 704, "dest": "SJU", "sched_dep": 1_357_059_600_000}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def told(flights: list[Flight]) -> list[dict[str, Any]]:
    """All that a follower is told of one flight number, day after day."""
    before: Stage | None = None
    notices = []
    for one in flights:
        for event in flight_events(one, RULES, not_before=0):
            if event.stream != FLIGHTS:
                continue
            now = stage_of(event.data)
            if event.data is not None and now is not None:
                notice = notice_of(KEY, before, event.data, now=now)
                notices += [notice] if notice else []
            before = now
    return notices


def text(row: dict[str, Any], before: Stage | None = None) -> str | None:
    now = stage_of(row)
    assert now is not None
    notice = notice_of(KEY, before, row, now=now)
    return None if notice is None else str(notice["text"])


@given(one=any_flight())
def test_a_flight_ends_with_one_notice_of_its_terminal_state(one: Flight) -> None:
    kinds = [Status(notice["kind"]) for notice in told([one])]
    assert kinds[-1].is_terminal
    assert sum(kind.is_terminal for kind in kinds) == 1
    assert kinds.count(Status.DEPARTED) == (not one.is_cancelled)


@given(one=any_flight())
def test_delays_are_told_at_few_steps_and_never_twice(one: Flight) -> None:
    late = [n for n in told([one]) if n["kind"] == Status.DELAYED]
    steps = [notice["dep_delay"] for notice in late]
    assert steps == sorted(set(steps))
    assert all(step in DELAY_STEPS or step % 60 == 0 for step in steps)
    assert len({notice["text"] for notice in late}) == len(late)


@given(one=any_flight())
def test_a_row_that_is_published_again_tells_nothing(one: Flight) -> None:
    for event in flight_events(one, RULES, not_before=0):
        stage = stage_of(event.data)
        if event.data is not None and stage is not None:
            assert notice_of(KEY, stage, event.data, now=stage) is None


def test_a_punctual_flight_tells_that_it_left_and_landed() -> None:
    assert [n["text"] for n in told([flight()])] == ["Left on time", "Landed on time"]


def test_the_next_day_s_flight_tells_again() -> None:
    assert len(told([flight(), flight(sched_dep_at=flight().sched_dep_at + 86_400)])) == 4


def test_a_late_flight_tells_each_step_then_how_late_it_left_and_landed() -> None:
    notices = told([flight(dep_delay=135, arr_delay=121)])
    assert [n["text"] for n in notices] == [
        "15 min late so far", "30 min late so far", "1 h late so far", "1 h 30 late so far",
        "2 h late so far", "Left 2 h 15 late", "Landed 2 h 01 late",
    ]  # fmt: skip


def test_small_delays_are_told_to_nobody() -> None:
    assert told([flight(dep_delay=12, arr_delay=-3)])[0]["text"] == "Left 12 min late"


def test_cancellation_and_diversion_are_told() -> None:
    assert [n["text"] for n in told([flight(dep_delay=None, arr_delay=None)])] == ["Cancelled"]
    diverted = told([flight(dep_delay=-4, arr_delay=None)])
    assert [n["text"] for n in diverted] == ["Left 4 min early", "Diverted to another airport"]


def test_a_diverted_flight_that_landed_in_the_end_says_so() -> None:
    row = {**ROW, "status": "arrived", "arr_delay": 240, "diverted": True}
    assert text(row) == "Landed after a diversion 4 h late"


def test_a_delay_that_is_made_good_is_told_once() -> None:
    late = stage_of({**ROW, "status": "delayed", "dep_delay": 45})
    assert text({**ROW, "status": "scheduled"}, late) == "On time again"
    assert text({**ROW, "status": "delayed", "dep_delay": 5}, late) == "On time again"
    assert text({**ROW, "status": "scheduled", "sched_dep": 1}, late) is None, "another day's"


def test_a_flight_that_comes_to_the_board_tells_nothing() -> None:
    assert text({**ROW, "status": "scheduled"}) is None


def test_a_notice_carries_the_facts_that_a_page_shows() -> None:
    row = {**ROW, "status": "delayed", "dep_delay": 45, "sim": 7, "tail": "N1", "dest": "SFO"}
    now = stage_of(row)
    assert now is not None
    assert notice_of(KEY, None, row, now=now) == {
        "key": KEY, "kind": "delayed", "text": "45 min late so far", "carrier": "B6", "flight": 704,
        "dest": "SFO", "sched_dep": ROW["sched_dep"], "dep_delay": 45, "sim": 7,
    }  # fmt: skip


@given(
    row=anything | st.fixed_dictionaries({"status": st.sampled_from(Status), "dep_delay": anything})
)
def test_rows_of_anybody_never_break_it(row: object) -> None:
    now = stage_of(row)
    if now is not None:
        assert isinstance(row, dict)
        notice = notice_of(KEY, None, {**row, "dest": "x" * 99}, now=now)
        assert notice is None or "dest" not in notice


@pytest.mark.parametrize("row", [None, 1, [], {}, {"status": "boarding"}, {"status": []}])
def test_what_is_no_row_has_no_stage(row: object) -> None:
    assert stage_of(row) is None
