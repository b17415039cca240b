"""What can be wrong with a token."""

from ..errors import TidewireError

__all__ = ["ExpiredTokenError", "IdentityError", "InvalidTokenError"]


class IdentityError(TidewireError):
    """A token was not accepted; the message never contains any part of the token."""


class InvalidTokenError(IdentityError):
    """The token is malformed, signed by another key, or made for somebody else."""


class ExpiredTokenError(IdentityError):
    """The token was good once; a fresh one will be accepted."""
