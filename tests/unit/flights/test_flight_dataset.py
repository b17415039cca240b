"""The real data set: every flight is accounted for, and its times agree with each other."""

from collections import Counter
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

import pytest

from tidewire_flights import dashboard_dir, reference
from tidewire_flights.dataset import FIRST_DAY, Dataset, data_dir, read_rows
from tidewire_flights.errors import DatasetError
from tidewire_flights.events import FLIGHTS, BoardRules, Event
from tidewire_flights.laps import ReplayPoint, begin, parse_start
from tidewire_flights.timeline import merge

pytestmark = pytest.mark.timeout(300)  # the whole year takes seconds, on a busy machine a minute
FLIGHTS_OF_2013 = 336_776
CANCELLED = 8_255
NEVER_ARRIVED = 458


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.load()


@pytest.fixture(scope="module")
def known(dataset: Dataset) -> dict[str, Any]:
    return reference.reference_data(dataset)


def test_every_flight_of_the_year_gives_its_events_in_order(dataset: Dataset) -> None:
    counts: Counter[str] = Counter()
    board: set[str] = set()
    most = last = 0
    for event in merge(dataset.days_from(FIRST_DAY), BoardRules()):
        assert event.at >= last
        last = event.at
        if event.data is None:
            counts["removed"] += 1
            board.remove(event.key)
        elif event.stream == FLIGHTS:
            counts[event.data["status"]] += 1
            board.add(event.key)
            most = max(most, len(board))
        else:
            counts["notice " + event.data["kind"]] += 1
    departed = FLIGHTS_OF_2013 - CANCELLED
    assert counts["scheduled"] == counts["removed"] == FLIGHTS_OF_2013
    assert counts["cancelled"] == counts["notice cancelled"] == CANCELLED
    assert counts["departed"] == departed
    assert counts["diverted"] == counts["notice diverted"] == NEVER_ARRIVED
    assert counts["arrived"] == departed - NEVER_ARRIVED
    assert counts["delayed"] > 500_000
    assert board == set()
    assert 300 < most < 1_000


def test_times_of_a_flight_agree_with_every_column_of_its_row(dataset: Dataset) -> None:
    for day in (date(2013, 1, 1), date(2013, 3, 10), date(2013, 7, 4), date(2013, 11, 3)):
        rows = dataset.text_by_day[day].splitlines()
        for flight, line in zip(dataset.flights_of(day), rows, strict=True):
            columns = line.split(",")
            hour = datetime.fromisoformat(columns[18])
            sched_dep = datetime.fromtimestamp(flight.sched_dep_at, UTC)
            assert sched_dep.replace(minute=0) == hour
            assert sched_dep.minute == int(columns[17])
            if flight.arr_at is not None and flight.dep_at is not None and columns[14] != "NA":
                on_the_way = (flight.arr_at - flight.dep_at) // 60
                assert int(columns[14]) <= on_the_way <= int(columns[14]) + 240


def test_known_flight_is_read_as_it_stands_in_the_file(dataset: Dataset) -> None:
    first = dataset.flights_of(FIRST_DAY)[0]
    assert first.key == "EWR/UA-1545"
    assert (first.dest, first.tail, first.distance) == ("IAH", "N14228", 1400)
    assert first.sched_dep_at == int(datetime(2013, 1, 1, 10, 15, tzinfo=UTC).timestamp())
    assert (first.dep_delay, first.arr_delay) == (2, 11)
    assert first.arr_at == int(datetime(2013, 1, 1, 14, 30, tzinfo=UTC).timestamp())


def test_a_start_in_mid_year_has_the_board_that_the_whole_year_would_have(dataset: Dataset) -> None:
    at = parse_start("2013-01-04T12:00", dataset)
    start = begin(dataset, ReplayPoint(1, at), BoardRules())
    board: dict[str, Event] = {}
    for event in merge(dataset.days_from(FIRST_DAY), BoardRules()):
        if event.at > at:
            break
        if event.stream == FLIGHTS:
            board[event.key] = event
    standing = {key: event for key, event in board.items() if event.data is not None}
    assert {event.key: event for event in start.board} == standing
    assert next(start.following).event.at > at


def test_after_the_last_flight_of_the_year_the_next_lap_begins(dataset: Dataset) -> None:
    at = parse_start("2013-12-31T23:59", dataset) + 3 * 24 * 3600
    start = begin(dataset, ReplayPoint(1, at), BoardRules())
    lap, event = next(start.following)
    assert start.board == ()
    assert lap == 2
    assert event.at < parse_start("2013-01-01T06:00", dataset)
    assert all(later.lap == 2 for later in islice(start.following, 100))


@pytest.mark.parametrize("text", ["yesterday", "2014-01-01T00:00", "2013-01-01T05:00+00:00"])
def test_a_start_outside_of_the_year_is_refused(dataset: Dataset, text: str) -> None:
    with pytest.raises(ValueError, match=r"2013|Invalid"):
        parse_start(text, dataset)


def test_the_dashboard_s_airports_equal_the_data_set(known: dict[str, Any]) -> None:
    committed = (dashboard_dir() / "airports.json").read_text(encoding="utf-8")
    assert committed == reference.to_text(known)


def test_every_destination_has_a_place_and_every_carrier_a_name(
    dataset: Dataset, known: dict[str, Any]
) -> None:
    carriers = {flight.carrier for flight in dataset.flights_of(date(2013, 7, 4))}
    assert known["origins"] == ["EWR", "JFK", "LGA"]
    assert len(known["airports"]) == 107
    assert carriers <= known["airlines"].keys()


def test_missing_files_are_named_with_the_cure(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    with pytest.raises(DatasetError, match=r"airports\.csv.*pip install"):
        Dataset.load(folder)
    (folder / "airports.csv").write_text("\n".join(_lines("airports.csv")))
    with pytest.raises(DatasetError, match=r"flights\.csv\.zip.*pip install"):
        Dataset.load(folder)


def _lines(name: str) -> list[str]:
    assert next(read_rows(data_dir() / name))
    return (data_dir() / name).read_text(encoding="utf-8").splitlines()
