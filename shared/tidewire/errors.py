"""The root of every error that Tidewire raises on purpose."""

__all__ = ["TidewireError"]


class TidewireError(Exception):
    """Something outside our control is wrong; the message names it and the cure."""
