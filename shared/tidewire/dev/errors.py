"""What can go wrong while the parts of a development set-up start, run and stop."""

from ..errors import TidewireError

__all__ = [
    "ChildFailedError",
    "DataDirError",
    "DevError",
    "MissingProgramError",
    "OptionError",
    "PortInUseError",
    "StoppedError",
    "TopicsDifferError",
]


class DevError(TidewireError):
    """The development set-up cannot run; the message names the part and the cure."""


class OptionError(DevError):
    """An option of the command has a value that cannot be used."""


class MissingProgramError(DevError):
    """A program or package of the machine is not there."""


class PortInUseError(DevError):
    """Somebody else listens where a part should."""


class DataDirError(DevError):
    """The data directory cannot be used, or another run uses it."""


class ChildFailedError(DevError):
    """A part did not start, or ended by itself; carries the end of its log."""

    def __init__(self, message: str, *, part: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.part = part
        self.last_lines = last_lines


class StoppedError(DevError):
    """The run was asked to end while it was still starting."""


class TopicsDifferError(DevError):
    """A topic that exists breaks what its streams promise."""
