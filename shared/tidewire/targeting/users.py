"""User ids: whatever a token's ``sub`` may hold that can be written down everywhere."""

import unicodedata

from .errors import InvalidUserError

__all__ = ["MAX_BYTES", "check_user"]

MAX_BYTES = 255


def check_user(user: object) -> str:
    """The id as it was given; raises `InvalidUserError` for one that no user can have. Quick for those that there are."""
    if (
        isinstance(user, str)
        and user.isascii()
        and user.isprintable()
        and 0 < len(user) <= MAX_BYTES
    ):
        return user
    if not isinstance(user, str) or not user:
        raise InvalidUserError("a user id is text and not empty")
    try:
        size = len(user.encode())
    except UnicodeEncodeError:
        raise InvalidUserError(
            "the user id holds half of a surrogate pair, which is no text: send valid Unicode"
        ) from None
    if size > MAX_BYTES:
        raise InvalidUserError(
            f"the user id is {size} bytes, {MAX_BYTES} are allowed: use a shorter one"
        )
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in user):
        raise InvalidUserError("the user id has control characters: leave them out")
    return user
