"""Many flights' events in one order of time."""

from collections import defaultdict
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tidewire_flights.events import FLIGHTS, BoardRules, Event
from tidewire_flights.flights import Flight
from tidewire_flights.timeline import Day, board_until, merge
from unit.flights.flight_examples import DAY, NOON, flight, flights_of_days

RULES = BoardRules()
MIDNIGHT = NOON - 12 * 3600


def merged(days: list[list[Flight]]) -> list[Event]:
    return list(merge((Day(MIDNIGHT + n * DAY, d) for n, d in enumerate(days)), RULES))


@given(days=flights_of_days())
def test_time_never_runs_backwards(days: list[list[Flight]]) -> None:
    times = [event.at for event in merged(days)]
    assert times == sorted(times)


@given(days=flights_of_days())
def test_every_flight_is_scheduled_once_and_removed_once(days: list[list[Flight]]) -> None:
    events = [event for event in merged(days) if event.stream == FLIGHTS]
    count = sum(len(flights) for flights in days)
    assert sum(event.data is None for event in events) == count
    assert (
        sum(event.data is not None and event.data["status"] == "scheduled" for event in events)
        == count
    )


@given(days=flights_of_days())
def test_rows_of_one_key_never_mix(days: list[list[Flight]]) -> None:
    flights_by_key: dict[str, list[int]] = defaultdict(list)
    for event in merged(days):
        if event.stream == FLIGHTS:
            flights_by_key[event.key].append(event.data["sched_dep"] if event.data else 0)
    for scheduled in flights_by_key.values():
        runs = [run for run in _split(scheduled) if run]
        assert all(len(set(run)) == 1 for run in runs)
        assert scheduled[-1] == 0


@given(days=flights_of_days(), at=st.integers(MIDNIGHT - DAY, MIDNIGHT + 6 * DAY))
def test_the_board_at_a_time_is_what_all_events_until_then_leave(
    days: list[list[Flight]], at: int
) -> None:
    board, next_event = board_until(iter(merged(days)), at)
    expected: dict[str, Event] = {}
    for event in merged(days):
        if event.at <= at and event.stream == FLIGHTS:
            expected[event.key] = event
    assert board == {key: event for key, event in expected.items() if event.data is not None}
    assert next_event == next((event for event in merged(days) if event.at > at), None)


def test_days_are_taken_only_when_they_are_due() -> None:
    taken: list[int] = []

    def watched() -> Iterator[Day]:
        for n in range(3):
            taken.append(n)
            yield Day(MIDNIGHT + n * DAY, [flight(sched_dep_at=NOON + n * DAY)])

    next(merge(watched(), RULES))
    assert taken == [0, 1]


def _split(scheduled: list[int]) -> list[list[int]]:
    """Runs between removals (zeros)."""
    runs: list[list[int]] = [[]]
    for value in scheduled:
        if value == 0:
            runs.append([])
        else:
            runs[-1].append(value)
    return runs
