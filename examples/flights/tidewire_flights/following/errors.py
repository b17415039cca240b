"""What can be wrong with a wish to follow a flight, or with what was kept of it."""

from tidewire.errors import TidewireError

__all__ = [
    "FollowError",
    "InvalidFlightError",
    "LedgerError",
    "TooManyFlightsError",
    "TooManyVisitorsError",
]


class FollowError(TidewireError):
    """A wish that cannot be met; the message says what to change."""


class InvalidFlightError(FollowError):
    """The text is not the key of a flight."""


class TooManyFlightsError(FollowError):
    """The visitor follows as many flights as one may."""


class TooManyVisitorsError(FollowError):
    """As many visitors follow flights as this service remembers."""


class LedgerError(TidewireError):
    """The file with what visitors follow cannot be used."""
