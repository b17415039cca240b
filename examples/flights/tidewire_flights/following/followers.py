"""Who follows what: both ways, within bounds (pure)."""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Final

from .errors import InvalidFlightError, TooManyFlightsError, TooManyVisitorsError

__all__ = ["MOST_FLIGHTS", "MOST_VISITORS", "Followers", "check_flight"]

MOST_FLIGHTS: Final = 20
MOST_VISITORS: Final = 10_000
_FLIGHT: Final = re.compile(r"[A-Z0-9]{3,4}/[A-Z0-9]{1,3}-[0-9A-Z]{1,6}")


def check_flight(text: str) -> str:
    """A flight's key as stream `flights` has it; raises `InvalidFlightError`."""
    if _FLIGHT.fullmatch(text) is None:
        raise InvalidFlightError(
            f"{text[:40]!r} is no flight: give origin, carrier and number like JFK/B6-704"
        )
    return text


class Followers:
    """``followed``: visitor → its flights, oldest first, as they were kept."""

    def __init__(self, followed: Iterable[tuple[str, str]] = ()) -> None:
        self._flights: dict[str, dict[str, None]] = {}
        self._visitors: dict[str, set[str]] = {}
        for visitor, flight in followed:
            self._add(visitor, flight)

    def flights_of(self, visitor: str) -> list[str]:
        """Oldest first."""
        return list(self._flights.get(visitor, ()))

    def of(self, flight: str) -> Set[str]:
        return self._visitors.get(flight, frozenset())

    def follow(self, visitor: str, flight: str) -> bool:
        """Whether that is new. Raises `InvalidFlightError`, `TooManyFlightsError`, `TooManyVisitorsError`."""
        check_flight(flight)
        present: Mapping[str, None] = self._flights.get(visitor, {})
        if flight in present:
            return False
        if len(present) >= MOST_FLIGHTS:
            raise TooManyFlightsError(
                f"a visitor follows at most {MOST_FLIGHTS} flights: unfollow one first"
            )
        if not present and len(self._flights) >= MOST_VISITORS:
            raise TooManyVisitorsError(
                f"{MOST_VISITORS} visitors follow flights already: try again another day"
            )
        self._add(visitor, flight)
        return True

    def unfollow(self, visitor: str, flight: str) -> bool:
        """Whether it was followed."""
        if flight not in self._flights.get(visitor, {}):
            return False
        del self._flights[visitor][flight]
        self._visitors[flight].discard(visitor)
        if not self._flights[visitor]:
            del self._flights[visitor]
        if not self._visitors[flight]:
            del self._visitors[flight]
        return True

    def _add(self, visitor: str, flight: str) -> None:
        self._flights.setdefault(visitor, {})[flight] = None
        self._visitors.setdefault(flight, set()).add(visitor)
