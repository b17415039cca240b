"""Local times of airports: the rule of the data set equals the time zone database."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_flights.airports import Airport, first_after, local_midnight, utc_offset

NEW_YORK = Airport("JFK", "John F Kennedy Intl", 40.64, -73.78, -5 * 3600, True, "America/New_York")
PHOENIX = Airport("PHX", "Phoenix", 33.4, -112.0, -7 * 3600, False, "America/Phoenix")
ANCHORAGE = Airport("ANC", "Anchorage", 61.2, -150.0, -9 * 3600, True, "America/Anchorage")
AIRPORTS = (NEW_YORK, PHOENIX, ANCHORAGE)

year_2013 = st.integers(
    int(datetime(2013, 1, 1, tzinfo=UTC).timestamp()) // 60,
    int(datetime(2014, 1, 2, tzinfo=UTC).timestamp()) // 60,
).map(lambda minutes: minutes * 60)


@given(at=year_2013, airport=st.sampled_from(AIRPORTS))
def test_offset_equals_the_time_zone_database(at: int, airport: Airport) -> None:
    zone = ZoneInfo(airport.tzone)
    expected = datetime.fromtimestamp(at, zone).utcoffset()
    assert timedelta(seconds=utc_offset(airport, at)) == expected


@given(at=year_2013, minute=st.integers(0, 24 * 60 - 1), airport=st.sampled_from(AIRPORTS))
def test_first_after_shows_that_minute_within_a_day(at: int, minute: int, airport: Airport) -> None:
    found = first_after(at, minute, airport)
    local = datetime.fromtimestamp(found, ZoneInfo(airport.tzone))
    shown = local.hour * 60 + local.minute
    is_skipped_hour = (minute - shown) % (24 * 60) in {60, 24 * 60 - 60}
    assert shown == minute or is_skipped_hour
    assert at - 3600 <= found <= at + 25 * 3600


@pytest.mark.parametrize("day", [date(2013, 3, 10), date(2013, 7, 4), date(2013, 11, 3)])
def test_midnight_is_midnight_on_days_when_clocks_change(day: date) -> None:
    at = local_midnight(day, NEW_YORK)
    local = datetime.fromtimestamp(at, ZoneInfo("America/New_York"))
    assert (local.date(), local.hour, local.minute) == (day, 0, 0)


def test_airports_that_the_file_lacks_are_added() -> None:
    airports = Airport.from_rows([])
    assert sorted(airports) == ["BQN", "PSE", "SJU", "STT"]
    assert all(airport.tzone == "America/Puerto_Rico" for airport in airports.values())
