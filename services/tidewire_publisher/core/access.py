"""Who may publish (pure, but for the token's clock)."""

from dataclasses import dataclass
from http import HTTPStatus

from tidewire.identity.errors import ExpiredTokenError, IdentityError
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier

from .problems import Problem, ProblemError

__all__ = ["Access"]

_REALM = 'Bearer realm="tidewire"'


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
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("token-missing", "send `Authorization: Bearer <token>`", _REALM)
        try:
            identity = self.verifier.verify(token.strip())
        except IdentityError as e:
            kind = "token-expired" if isinstance(e, ExpiredTokenError) else "token-invalid"
            raise _unauthorized(kind, str(e), f'{_REALM}, error="invalid_token"') from None
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


def _unauthorized(kind: str, detail: str, challenge: str) -> ProblemError:
    return ProblemError(
        Problem(
            kind,
            HTTPStatus.UNAUTHORIZED,
            "A good token is needed",
            detail,
            headers={"WWW-Authenticate": challenge},
        )
    )
