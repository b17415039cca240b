"""Verification that waits where it has to."""

from collections.abc import Callable

from .claims import Identity
from .errors import KeyNeededError

__all__ = ["verified"]


async def verified(verify: Callable[[str], Identity], token: str) -> Identity:
    """What ``verify`` says, waiting for keys where it needs them first; raises ``IdentityError``."""
    while True:
        try:
            return verify(token)
        except KeyNeededError as need:
            await need.arrival()
