"""What can be wrong with a token."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from ..errors import TidewireError

__all__ = [
    "ExpiredTokenError",
    "IdentityError",
    "InvalidTokenError",
    "KeyNeededError",
    "KeysUnavailableError",
    "Refusal",
    "UndecidedError",
]


class Refusal(StrEnum):
    """Why a token was not accepted, as it is counted."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    UNKNOWN_KEY = "unknown_key"
    AUDIENCE = "audience"
    ISSUER = "issuer"
    CLAIMS = "claims"
    EXPIRED = "expired"
    OTHER_USER = "other_user"
    REVOKED = "revoked"
    UNDECIDED = "undecided"
    OTHER = "other"


class IdentityError(TidewireError):
    """A token was not accepted; the message never contains any part of the token."""

    refusal = Refusal.OTHER


class InvalidTokenError(IdentityError):
    """The token is malformed, signed by another key, or made for somebody else."""

    def __init__(self, message: str, refusal: Refusal = Refusal.OTHER) -> None:
        super().__init__(message)
        self.refusal = refusal


class ExpiredTokenError(IdentityError):
    """The token was good once; a fresh one will be accepted."""

    refusal = Refusal.EXPIRED


class UndecidedError(IdentityError):
    """Nobody can tell yet whether the token is good: the same one may be accepted in ``retry_after`` seconds."""

    refusal = Refusal.UNDECIDED

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KeysUnavailableError(UndecidedError):
    """The key that the token was signed with may be good, and is not known here."""


class KeyNeededError(KeysUnavailableError):
    """Keys are being fetched: ask again after ``arrival()``, which ends when they came or could not be had.

    Who cannot wait treats it as what it also is.
    """

    def __init__(
        self, message: str, *, retry_after: float, arrival: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.arrival = arrival
