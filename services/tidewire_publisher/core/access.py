"""Who may publish (pure, but for the token's clock)."""

from dataclasses import dataclass
from http import HTTPStatus

from tidewire.http.bearer import bearer_token, token_missing, token_refused
from tidewire.http.problems import Problem, ProblemError
from tidewire.identity.errors import IdentityError
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """``verifier`` None: nobody can be told apart, which only development mode allows."""

    verifier: TokenVerifier | None
    is_dev: bool

    def check(self, authorization: str | None, stream: str) -> None:
        """Raises ``ProblemError`` (401, 403) unless the request may publish to ``stream``.

        In development mode a request without a token may; one with a token that is not good may not.
        """
        if self.verifier is None or (authorization is None and self.is_dev):
            return
        token = bearer_token(authorization)
        if token is None:
            raise ProblemError(token_missing("send `Authorization: Bearer <token>`"))
        try:
            identity = self.verifier.verify(token)
        except IdentityError as e:
            raise ProblemError(token_refused(e)) from None
        if not identity.may(Action.PUBLISH, stream):
            raise ProblemError(
                Problem(
                    "forbidden",
                    HTTPStatus.FORBIDDEN,
                    "The token does not allow this",
                    f"the token has no right to publish to {stream!r}: "
                    f'its claim caps needs {{"{stream}": ["publish"]}} or a pattern that covers it',
                )
            )
