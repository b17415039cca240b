"""Which domain events one flight gives, and when: pure rules over real data.

=========== ============================================================ ==============================
event       when (simulated time)                                        on streams
=========== ============================================================ ==============================
scheduled   the day's board opens: ``board_lead`` before departure       flights
delayed     the flight has not left ``delay_steps`` minutes after its    flights; notices on full hours
            scheduled departure; ``dep_delay`` is the delay known so far
departed    actual departure                                             flights
cancelled   scheduled departure of a flight that never departed          flights, notices
arrived     actual arrival                                               flights
diverted    expected arrival of a flight that departed and has no        flights, notices
            arrival time in the data set
(removed)   ``linger`` after the last of these: the row is deleted       flights
=========== ============================================================ ==============================

The key (``JFK/B6-704``) returns every day. A day's row never mixes with the day before's: what would come
before the older row's removal (a flight that left a day late) waits until then; its data keep real times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from .flights import Flight

__all__ = ["FLIGHTS", "NOTICES", "REPLAY", "BoardRules", "Event", "Status", "flight_events"]

FLIGHTS: Final = "flights"
NOTICES: Final = "notices"
REPLAY: Final = "replay"


class Status(StrEnum):
    SCHEDULED = "scheduled"
    DELAYED = "delayed"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    DIVERTED = "diverted"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in {Status.ARRIVED, Status.DIVERTED, Status.CANCELLED}


class Event(NamedTuple):
    """One event to publish at the simulated Unix time ``at``; ``data`` None removes the key."""

    at: int
    stream: str
    key: str
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class BoardRules:
    """Seconds, and minutes of delay. ``delay_steps`` beyond the last one go on by the hour."""

    board_lead: int = 3 * 3600
    linger: int = 45 * 60
    delay_steps: tuple[int, ...] = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 105, 120, 150)
    notice_step: int = 60


def flight_events(flight: Flight, rules: BoardRules, *, not_before: int) -> list[Event]:
    """Every event of one flight, in order of time; the last one removes its row.

    None is earlier than ``not_before``, the removal of the key's previous row.
    """
    events = list(_events(flight, rules))
    end = max(events[-1].at, not_before) + rules.linger
    events.append(Event(end, FLIGHTS, flight.key, None))
    return [event if event.at >= not_before else event._replace(at=not_before) for event in events]


def _events(flight: Flight, rules: BoardRules) -> Iterator[Event]:
    yield _row(flight, Status.SCHEDULED, flight.sched_dep_at - rules.board_lead)
    if flight.dep_at is None:
        yield _notice(flight, Status.CANCELLED, flight.sched_dep_at)
        yield _row(flight, Status.CANCELLED, flight.sched_dep_at)
        return
    yield from _delays(flight, rules)
    yield _row(flight, Status.DEPARTED, flight.dep_at)
    if flight.arr_at is None:
        yield _notice(flight, Status.DIVERTED, flight.expected_arr_at)
        yield _row(flight, Status.DIVERTED, flight.expected_arr_at)
    else:
        yield _row(flight, Status.ARRIVED, flight.arr_at)


def _delays(flight: Flight, rules: BoardRules) -> Iterator[Event]:
    delay = flight.dep_delay or 0
    beyond = range(rules.delay_steps[-1] // 60 * 60 + 60, delay, 60)
    for known in (*rules.delay_steps, *beyond):
        if known >= delay:
            return
        at = flight.sched_dep_at + known * 60
        if known % rules.notice_step == 0:
            yield _notice(flight, Status.DELAYED, at, delay=known)
        yield _row(flight, Status.DELAYED, at, dep_delay=known)


def _row(flight: Flight, status: Status, at: int, *, dep_delay: int | None = None) -> Event:
    data: dict[str, Any] = {
        "status": status,
        "carrier": flight.carrier,
        "flight": flight.number,
        "dest": flight.dest,
        "tail": flight.tail,
        "distance": flight.distance,
        "sched_dep": flight.sched_dep_at * 1000,
        "sched_arr": flight.sched_arr_at * 1000,
        "sim": at * 1000,
    }
    if dep_delay is not None:
        data["dep_delay"] = dep_delay
    elif flight.dep_at is not None and status is not Status.SCHEDULED:
        data |= {"dep": flight.dep_at * 1000, "dep_delay": flight.dep_delay}
    if flight.arr_at is not None and status is Status.ARRIVED:
        data |= {"arr": flight.arr_at * 1000, "arr_delay": flight.arr_delay}
        if flight.is_diverted:
            data["diverted"] = True
    return Event(at, FLIGHTS, flight.key, data)


def _notice(flight: Flight, status: Status, at: int, *, delay: int | None = None) -> Event:
    data: dict[str, Any] = {
        "kind": status,
        "carrier": flight.carrier,
        "flight": flight.number,
        "dest": flight.dest,
        "sched_dep": flight.sched_dep_at * 1000,
        "sim": at * 1000,
    }
    if delay is not None:
        data["delay"] = delay
    return Event(at, NOTICES, flight.key, data)
