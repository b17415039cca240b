"""Who a visitor is: a random id in a token that the page keeps, without login or password."""

import re
import secrets
from dataclasses import dataclass
from typing import Final

from tidewire.http.bearer import bearer_token, token_missing, token_refused
from tidewire.http.problems import ProblemError
from tidewire.identity.errors import IdentityError, InvalidTokenError
from tidewire.identity.issuing import issue_token
from tidewire.identity.tokens import TokenVerifier

__all__ = ["TOKEN_TTL", "Visitor", "Visitors"]

TOKEN_TTL: Final = 30 * 24 * 3600.0
"""Seconds; whoever stays away for longer is somebody new."""
_VISITOR: Final = re.compile(r"visitor-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """``expires_in`` in seconds."""

    visitor: str
    token: str
    expires_in: float
    is_new: bool


class Visitors:
    """Gives out tokens, and knows visitors by them. ``key`` is that of the gateways."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._verifier = TokenVerifier(key)

    def welcome(self, authorization: str | None) -> Visitor:
        """A fresh token for whoever shows one; where none or a bad one is shown, for somebody new."""
        try:
            return self._issue(self.known(authorization), is_new=False)
        except ProblemError:
            return self._issue(f"visitor-{secrets.token_hex(16)}", is_new=True)

    def known(self, authorization: str | None) -> str:
        """The visitor's id; raises `ProblemError` (401) where no good token is shown."""
        token = bearer_token(authorization)
        if token is None:
            detail = "POST /api/visitor gives a token: send it as `Authorization: Bearer <token>`"
            raise ProblemError(token_missing(detail))
        try:
            user = self._verifier.verify(token).user
            if _VISITOR.fullmatch(user) is None:
                raise InvalidTokenError("the token is not a visitor's: POST /api/visitor gives one")
        except IdentityError as error:
            raise ProblemError(token_refused(error)) from None
        return user

    def _issue(self, visitor: str, *, is_new: bool) -> Visitor:
        token = issue_token(self._key, visitor, {}, ttl=TOKEN_TTL)
        return Visitor(visitor, token, TOKEN_TTL, is_new)
