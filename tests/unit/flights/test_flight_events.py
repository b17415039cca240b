"""The events of one flight: order, delays, terminal states, removal."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tidewire_flights.events import FLIGHTS, NOTICES, BoardRules, Event, Status, flight_events
from tidewire_flights.flights import Flight
from unit.flights.flight_examples import NOON, any_flight, flight

RULES = BoardRules()
anything_before = st.integers(NOON - 5 * 24 * 3600, NOON + 3 * 24 * 3600)


def rows(events: list[Event]) -> list[Event]:
    return [event for event in events if event.stream == FLIGHTS]


def statuses(events: list[Event]) -> list[str]:
    return [event.data["status"] if event.data else "removed" for event in rows(events)]


def notices(events: list[Event]) -> list[str]:
    return [event.data["kind"] for event in events if event.stream == NOTICES and event.data]


@given(flight=any_flight(), not_before=anything_before)
def test_events_are_in_order_and_none_precedes_the_key_s_last_removal(
    flight: Flight, not_before: int
) -> None:
    times = [event.at for event in flight_events(flight, RULES, not_before=not_before)]
    assert times == sorted(times)
    assert times[0] >= not_before


@given(flight=any_flight(), not_before=anything_before)
def test_every_flight_ends_in_one_terminal_state_and_is_then_removed(
    flight: Flight, not_before: int
) -> None:
    seen = statuses(flight_events(flight, RULES, not_before=not_before))
    assert seen[0] == Status.SCHEDULED
    assert seen[-1] == "removed"
    assert Status(seen[-2]).is_terminal
    assert sum(status != "removed" and Status(status).is_terminal for status in seen) == 1


@given(flight=any_flight(), not_before=anything_before)
def test_removal_follows_the_terminal_state_by_the_linger(flight: Flight, not_before: int) -> None:
    *_, terminal, removed = rows(flight_events(flight, RULES, not_before=not_before))
    assert removed.at - terminal.at == RULES.linger


@given(flight=any_flight())
def test_delays_known_so_far_grow_and_stay_below_the_final_one(flight: Flight) -> None:
    events = rows(flight_events(flight, RULES, not_before=0))
    known = [
        event.data["dep_delay"]
        for event in events
        if event.data and event.data["status"] == Status.DELAYED
    ]
    assert known == sorted(set(known))
    if flight.is_cancelled:
        assert known == []
    else:
        assert all(0 < delay < (flight.dep_delay or 0) for delay in known)


@given(flight=any_flight())
def test_a_delay_is_told_when_it_becomes_known(flight: Flight) -> None:
    for event in rows(flight_events(flight, RULES, not_before=0)):
        if event.data and event.data["status"] == Status.DELAYED:
            assert event.at == flight.sched_dep_at + event.data["dep_delay"] * 60


@given(flight=any_flight())
def test_nothing_is_told_before_it_happened(flight: Flight) -> None:
    for event in rows(flight_events(flight, RULES, not_before=0)):
        data = event.data or {}
        assert data.get("dep", 0) <= event.at * 1000
        assert data.get("arr", 0) <= event.at * 1000
        if data.get("status") in {Status.SCHEDULED, Status.DELAYED}:
            assert not {"dep", "arr", "arr_delay"} & data.keys()


@given(flight=any_flight(), not_before=anything_before)
def test_data_are_small_flat_json_and_the_key_names_origin_and_flight(
    flight: Flight, not_before: int
) -> None:
    for event in flight_events(flight, RULES, not_before=not_before):
        assert event.key == "JFK/B6-704"
        if event.data:
            assert len(orjson.dumps(event.data)) <= 260
            assert not any(isinstance(value, dict | list) for value in event.data.values())


def test_a_punctual_flight_is_scheduled_departs_arrives_and_leaves_the_board() -> None:
    events = flight_events(flight(), RULES, not_before=0)
    assert statuses(events) == ["scheduled", "departed", "arrived", "removed"]
    assert [event.at - NOON for event in events] == [-3 * 3600, 0, 200 * 60, 245 * 60]
    assert notices(events) == []


def test_a_cancelled_flight_is_announced_at_its_scheduled_time() -> None:
    events = flight_events(flight(dep_delay=None, arr_delay=None), RULES, not_before=0)
    assert statuses(events) == ["scheduled", "cancelled", "removed"]
    assert notices(events) == ["cancelled"]
    assert rows(events)[1].at == NOON


def test_each_full_hour_of_delay_is_a_notice() -> None:
    events = flight_events(flight(dep_delay=200, arr_delay=190), RULES, not_before=0)
    told = [e.data["delay"] for e in events if e.stream == NOTICES and e.data]
    assert told == [60, 120, 180]


def test_delays_beyond_the_last_step_go_on_by_the_hour() -> None:
    events = rows(flight_events(flight(dep_delay=310, arr_delay=300), RULES, not_before=0))
    known = [e.data["dep_delay"] for e in events if e.data and e.data["status"] == "delayed"]
    assert known[-4:] == [150, 180, 240, 300]


def test_a_flight_that_never_arrives_is_diverted_when_it_was_expected() -> None:
    events = flight_events(flight(dep_delay=3, arr_delay=None), RULES, not_before=0)
    assert statuses(events) == ["scheduled", "departed", "diverted", "removed"]
    assert rows(events)[2].at == NOON + (3 + 200) * 60
    assert notices(events) == ["diverted"]


def test_a_diverted_flight_that_arrived_in_the_end_says_so() -> None:
    events = rows(flight_events(flight(arr_delay=240, is_diverted=True), RULES, not_before=0))
    arrived = events[-2].data
    assert arrived is not None
    assert (arrived["status"], arrived["diverted"], arrived["arr_delay"]) == ("arrived", True, 240)


def test_an_early_departure_has_a_negative_delay_and_no_delayed_event() -> None:
    events = flight_events(flight(dep_delay=-12, arr_delay=-20), RULES, not_before=0)
    assert statuses(events) == ["scheduled", "departed", "arrived", "removed"]
    departed = rows(events)[1]
    assert departed.data is not None
    assert departed.data["dep_delay"] == -12
