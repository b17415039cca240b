"""Flights for the tests of their events: any that the data set could hold."""

from hypothesis import strategies as st

from tidewire_flights.flights import Flight

__all__ = ["DAY", "NOON", "any_flight", "flight", "flights_of_days"]

DAY = 24 * 3600
NOON = 1_357_059_600  # 2013-01-01T12:00 in New York


def flight(
    *,
    number: int = 704,
    sched_dep_at: int = NOON,
    block: int = 200,
    dep_delay: int | None = 0,
    arr_delay: int | None = 0,
    is_diverted: bool = False,
) -> Flight:
    """``block`` scheduled minutes; ``dep_delay`` None: cancelled; ``arr_delay`` None: never arrived."""
    sched_arr_at = sched_dep_at + block * 60
    has_arrived = dep_delay is not None and arr_delay is not None
    return Flight(
        carrier="B6",
        number=number,
        origin="JFK",
        dest="SJU",
        tail="N640JB",
        distance=1598,
        sched_dep_at=sched_dep_at,
        sched_arr_at=sched_arr_at,
        dep_at=None if dep_delay is None else sched_dep_at + dep_delay * 60,
        dep_delay=dep_delay,
        arr_at=sched_arr_at + (arr_delay or 0) * 60 if has_arrived else None,
        arr_delay=arr_delay if has_arrived else None,
        is_diverted=is_diverted or (dep_delay is not None and arr_delay is None),
    )


@st.composite
def any_flight(draw: st.DrawFn, *, number: int = 704, sched_dep_at: int = NOON) -> Flight:
    dep_delay = draw(st.none() | st.integers(-43, 1400))
    block = draw(st.integers(40, 680))
    arrives_after = draw(st.integers(20, block + 60))
    arrives = draw(st.booleans())
    arr_delay = (dep_delay or 0) + arrives_after - block if arrives else None
    return flight(
        number=number,
        sched_dep_at=sched_dep_at,
        block=block,
        dep_delay=dep_delay,
        arr_delay=arr_delay,
    )


@st.composite
def flights_of_days(draw: st.DrawFn) -> list[list[Flight]]:
    """Some days, the same few flight numbers each day, at any hour."""
    days = []
    for day in range(draw(st.integers(1, 3))):
        numbers = draw(st.lists(st.integers(1, 4), unique=True, max_size=4))
        start = NOON - 12 * 3600 + day * DAY
        days.append(
            [
                draw(any_flight(number=n, sched_dep_at=start + 60 * draw(st.integers(0, 1439))))
                for n in numbers
            ]
        )
    return days
