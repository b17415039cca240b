"""What can go wrong while a system is measured."""

from ..errors import TidewireError

__all__ = [
    "BenchError",
    "LoadClientError",
    "NotBuiltError",
    "NotReadyError",
    "PlanError",
    "RefusedError",
]


class BenchError(TidewireError):
    """A measurement cannot be taken; the message names the part and the cure."""


class NotBuiltError(BenchError):
    """A program in C, such as the load client, could not be compiled."""


class LoadClientError(BenchError):
    """The load client ended, or did not answer in time; the message has what it wrote on stderr."""


class NotReadyError(LoadClientError):
    """Some connections failed before they were ready; the message counts how."""


class PlanError(BenchError):
    """An option of the measurement has a value that cannot be used."""


class RefusedError(BenchError):
    """The system does not give what is to be measured; the message has its own word for it."""
