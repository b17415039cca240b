"""Who follows what: both ways, within bounds, and what a restart keeps of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_flights.following import followers as module
from tidewire_flights.following.errors import (
    InvalidFlightError,
    LedgerError,
    TooManyFlightsError,
    TooManyVisitorsError,
)
from tidewire_flights.following.followers import MOST_FLIGHTS, Followers
from tidewire_flights.following.ledger import Ledger
from tidewire_flights.following.pages import origins_of

visitors = st.sampled_from(["ann", "ben", "cem"])
flights = st.sampled_from(["JFK/B6-1", "EWR/UA-22", "LGA/9E-3792"])
wishes = st.lists(st.tuples(st.booleans(), visitors, flights), max_size=40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "example" / "following.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened


@given(wishes=wishes)
def test_both_ways_tell_the_same_as_a_plain_set(wishes: list[tuple[bool, str, str]]) -> None:
    followers, expected = Followers(), set()
    for is_follow, visitor, flight in wishes:
        pair = (visitor, flight)
        if is_follow:
            assert followers.follow(visitor, flight) is (pair not in expected)
            expected.add(pair)
        else:
            assert followers.unfollow(visitor, flight) is (pair in expected)
            expected.discard(pair)
    for visitor, flight in [(v, f) for v in ("ann", "ben", "cem") for _, _, f in wishes]:
        assert (visitor in followers.of(flight)) is ((visitor, flight) in expected)
        assert (flight in followers.flights_of(visitor)) is ((visitor, flight) in expected)


def test_flights_are_listed_in_the_order_they_were_followed() -> None:
    followers = Followers([("ann", "JFK/B6-9")])
    followers.follow("ann", "EWR/UA-1")
    assert followers.flights_of("ann") == ["JFK/B6-9", "EWR/UA-1"]
    assert followers.flights_of("ben") == []


def test_a_visitor_follows_so_many_flights_and_no_more() -> None:
    followers = Followers(("ann", f"JFK/B6-{n}") for n in range(MOST_FLIGHTS))
    with pytest.raises(TooManyFlightsError, match="unfollow one first"):
        followers.follow("ann", "EWR/UA-1")
    followers.unfollow("ann", "JFK/B6-0")
    assert followers.follow("ann", "EWR/UA-1")


def test_visitors_are_bounded_and_one_who_leaves_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_VISITORS", 2)
    followers = Followers([("ann", "JFK/B6-1"), ("ben", "JFK/B6-1")])
    with pytest.raises(TooManyVisitorsError):
        followers.follow("cem", "JFK/B6-1")
    assert followers.follow("ann", "JFK/B6-2"), "whoever is in goes on"
    followers.unfollow("ben", "JFK/B6-1")
    assert followers.follow("cem", "JFK/B6-1")


@pytest.mark.parametrize(
    "text", ["", "JFK", "JFK/", "jfk/B6-1", "JFK/B6-1/2", "JFK/B6-1\n", "*/B6-1"]
)
def test_what_is_no_flight_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidFlightError, match="like JFK/B6-704"):
        Followers().follow("ann", text)


def test_a_restart_keeps_who_follows_what_and_how_far_was_told(path: Path) -> None:
    with Ledger(path) as ledger:
        for flight in ("JFK/B6-9", "EWR/UA-1", "LGA/AA-5"):
            ledger.seen("ann", 100.0)
            ledger.follow("ann", flight)
        ledger.follow("ann", "JFK/B6-9")
        ledger.unfollow("ann", "LGA/AA-5")
        ledger.tell("e1", {0: 5, 3: 7})
        ledger.tell("e1", {0: 6})
    with Ledger(path) as again:
        assert again.followed() == [("ann", "JFK/B6-9"), ("ann", "EWR/UA-1")]
        assert again.told("e1") == {0: 6, 3: 7}


def test_offsets_of_another_life_of_the_topic_say_nothing(ledger: Ledger) -> None:
    ledger.tell("e1", {0: 5})
    assert ledger.told("e2") == {}


def test_whoever_was_away_for_too_long_is_forgotten(ledger: Ledger) -> None:
    for visitor, at in (("ann", 100.0), ("ben", 300.0), ("ann", 50.0)):
        ledger.seen(visitor, at)
        ledger.follow(visitor, "JFK/B6-9")
    ledger.forget_unseen(200.0)
    assert ledger.followed() == [("ben", "JFK/B6-9")]


def test_a_file_that_is_none_of_ours_is_named_with_the_cure(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database" * 100)
    with pytest.raises(LedgerError, match="remove it") as caught:
        Ledger(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)


def test_pages_of_the_run_are_those_of_its_nodes_by_either_name() -> None:
    running = {"nodes": [{"http": "http://127.0.0.1:8080"}, {"http": "http://127.0.0.1:9"}]}
    assert origins_of(running) == {
        "http://127.0.0.1:8080", "http://localhost:8080", "http://127.0.0.1:9", "http://localhost:9",
    }  # fmt: skip
    assert origins_of({"nodes": [{"http": "http://127.0.0.1:port"}]}) == frozenset()
    assert origins_of(["no run"]) == frozenset()
