"""What the soak concludes from: slopes, what the system says of sockets, whose connection stood when."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.sightings import Sighting, Welcomed
from drills.trend import theil_sen, trend
from drills.vitals import established
from histories.entries import Closed, Opened

MINUTE = 60.0
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3 1
   3: 0100007F:1F90 0100007F:D432 06 00000000:00000000 00:00000000 00000000     0        0 4 1
   4: 0100007F:1F91 0100007F:D433 01 00000000:00000000 00:00000000 00000000     0        0 5 1
"""


@given(st.floats(-1e3, 1e3), st.floats(-1e6, 1e6), st.lists(st.integers(0, 10_000), min_size=2))
def test_slope_of_a_line_is_its_own(slope: float, start: float, seconds: list[int]) -> None:
    points = [(float(at), start + slope * at) for at in sorted(set(seconds))]
    if len(points) > 1:
        assert theil_sen(points) == pytest.approx(slope, abs=1e-4)


def test_one_reading_has_no_slope() -> None:
    assert math.isnan(theil_sen([(1.0, 2.0)]))
    assert math.isnan(theil_sen([(1.0, 2.0), (1.0, 3.0)]))


def test_wild_readings_do_not_decide_the_slope() -> None:
    chance = random.Random(7)
    points = [(float(at), 100.0 + at / MINUTE) for at in range(300)]
    for index in chance.sample(range(300), 60):
        points[index] = (points[index][0], chance.uniform(0, 10_000))
    assert theil_sen(points) * MINUTE == pytest.approx(1.0, abs=0.2)


def test_trend_tells_growth_that_has_ended_from_growth_that_goes_on() -> None:
    ended = trend([(float(at), min(100.0 + at / MINUTE, 110.0)) for at in range(0, 1800, 5)])
    going_on = trend([(float(at), 100.0 + at / MINUTE) for at in range(0, 1800, 5)])
    assert (ended.late_slope, ended.last) == (0.0, 110.0)
    assert going_on.late_slope == pytest.approx(going_on.slope) == pytest.approx(1.0)
    assert going_on.last - going_on.first == pytest.approx(27.0, abs=0.1)


def test_trend_of_two_readings_is_what_lies_between() -> None:
    assert trend([(0.0, 1.0), (30.0, 2.0)]) == (1.0, 2.0, 2.0, 2.0)


def test_sockets_are_counted_on_the_side_that_was_connected_to_while_they_stand() -> None:
    assert established(TCP, 0x1F90) == 1
    assert established(TCP, 0x1F91) == 1
    assert established(TCP, 0x1F92) == 0


def test_socket_that_is_told_of_twice_is_one() -> None:
    (line,) = [line for line in TCP.splitlines() if " 1:" in line]
    assert established(TCP + line + "\n", 0x1F90) == 1


def test_client_has_the_connection_that_stood_at_an_instant() -> None:
    seen = Sighting("ann")
    seen.opened = [Opened(at=1.0, connection=1, url=""), Opened(at=6.0, connection=2, url="")]
    seen.closed = [Closed(at=5.0, connection=1, code=1006), Closed(at=9.0, connection=2, code=1000)]
    seen.welcomes = [Welcomed(1, "c-1", "node"), Welcomed(2, "c-2", "node")]
    at = [seen.connection_at(instant) for instant in (0.5, 1.0, 4.9, 5.0, 6.0, 9.0)]
    assert at == [None, "c-1", "c-1", None, "c-2", None]
