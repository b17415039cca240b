"""What can go wrong in the flights example."""

from tidewire.errors import TidewireError

__all__ = ["DatasetError", "ReplayError"]


class DatasetError(TidewireError):
    """The data set is missing or not the one that this example was made for."""


class ReplayError(TidewireError):
    """The replay cannot go on; the message says what to change."""
