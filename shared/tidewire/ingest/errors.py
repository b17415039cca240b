"""Why text is no event."""

from dataclasses import dataclass

from ..errors import TidewireError

__all__ = ["FieldProblem", "InvalidEventsError", "NotJsonError", "TooManyEventsError"]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """``field`` as the caller wrote it (``key``, ``[3].headers.x``), ``message`` with the cure."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def inside(self, where: str) -> "FieldProblem":
        """The same problem of an event that stands at ``where``."""
        return FieldProblem(f"{where}.{self.field}" if self.field else where, self.message)


class NotJsonError(TidewireError):
    """The text is not JSON; the message says where."""


class InvalidEventsError(TidewireError):
    """One or more fields cannot be used; nothing was published."""

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class TooManyEventsError(TidewireError):
    """A batch holds more events than are taken at once."""
