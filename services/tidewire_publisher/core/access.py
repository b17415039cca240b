"""Who may publish (pure, but for the token's clock)."""

from dataclasses import dataclass
from http import HTTPStatus

from tidewire.http.bearer import bearer_token, token_missing, token_refused
from tidewire.http.problems import Problem, ProblemError
from tidewire.identity.errors import IdentityError
from tidewire.identity.rights import Action
from tidewire.identity.tokens import Identity, TokenVerifier

__all__ = ["Access", "check_may_publish", "check_may_reach"]


@dataclass(frozen=True, slots=True)
class Access:
    """``verifier`` None: nobody can be told apart, which only development mode allows."""

    verifier: TokenVerifier | None
    is_dev: bool

    def identify(self, authorization: str | None) -> Identity | None:
        """Whom a request's token speaks for; raises ``ProblemError`` (401).

        None may do anything: in development mode that is a request without a token, but none with a
        token that is not good.
        """
        if self.verifier is None or (authorization is None and self.is_dev):
            return None
        token = bearer_token(authorization)
        if token is None:
            raise ProblemError(token_missing("send `Authorization: Bearer <token>`"))
        try:
            return self.verifier.verify(token)
        except IdentityError as e:
            raise ProblemError(token_refused(e)) from None


def check_may_publish(identity: Identity | None, stream: str) -> None:
    """Raises ``ProblemError`` (403) unless ``identity`` may publish to ``stream``."""
    _check(identity, stream, stream)


def check_may_reach(identity: Identity | None, user: str) -> None:
    """Raises ``ProblemError`` (403) unless ``identity`` may publish to ``user``.

    Users are channels below ``@user``, so that patterns cover them by their segments.
    """
    _check(identity, f"@user/{user}", "@user/**" if "/" in user else "@user/*")


def _check(identity: Identity | None, channel: str, pattern: str) -> None:
    if identity is None or identity.may(Action.PUBLISH, channel):
        return
    raise ProblemError(
        Problem(
            "forbidden",
            HTTPStatus.FORBIDDEN,
            "The token does not allow this",
            f"the token has no right to publish to {channel!r}: "
            f'its claim caps needs {{"{pattern}": ["publish"]}} or another pattern that covers it',
        )
    )
