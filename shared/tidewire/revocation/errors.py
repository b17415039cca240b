"""What can be wrong with a token that was taken back, and with the record that says so."""

from ..errors import TidewireError
from ..identity.errors import InvalidTokenError, Refusal, UndecidedError

__all__ = [
    "BadRevocationError",
    "BadTokenTextError",
    "RevocationsUnknownError",
    "RevokedTokenError",
]


class RevokedTokenError(InvalidTokenError):
    """The token was good, and was taken back; fetching the same one again is of no use."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Refusal.REVOKED)


class BadRevocationError(TidewireError):
    """A record, or what somebody asked for, is no revocation; the message says why."""


class BadTokenTextError(TidewireError):
    """A token cannot be revoked by itself; the message names none of it."""


class RevocationsUnknownError(UndecidedError):
    """Nobody knows yet what is revoked: no token can be accepted before."""
