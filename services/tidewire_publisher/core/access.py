"""Who may publish (pure, but for what the verification of a token needs)."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from tidewire.http.bearer import bearer_token, token_missing, token_refused, token_undecided
from tidewire.http.problems import Problem, ProblemError
from tidewire.identity.claims import Identity
from tidewire.identity.errors import IdentityError, UndecidedError
from tidewire.identity.rights import Action
from tidewire.identity.verifying import verified

__all__ = ["Access", "check_may_publish", "check_may_reach"]


@dataclass(frozen=True, slots=True)
class Access:
    """``verify`` None: nobody can be told apart, which only development mode allows; it raises ``IdentityError``."""

    verify: Callable[[str], Identity] | None
    is_dev: bool

    async def identify(self, authorization: str | None) -> Identity | None:
        """Whom a request's token speaks for; raises ``ProblemError`` (401; 503 while nobody can tell).

        None may do anything: in development mode that is a request without a token, but none with a
        token that is not good.
        """
        if self.verify is None or (authorization is None and self.is_dev):
            return None
        token = bearer_token(authorization)
        if token is None:
            raise ProblemError(token_missing("send `Authorization: Bearer <token>`"))
        try:
            return await verified(self.verify, token)
        except UndecidedError as e:
            raise ProblemError(token_undecided(e)) from None
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
