"""Names that no other test of the run uses."""

import secrets

__all__ = ["unique"]


def unique(prefix: str) -> str:
    """``prefix`` with a random tail, valid as a topic name."""
    return f"{prefix}-{secrets.token_hex(6)}"
