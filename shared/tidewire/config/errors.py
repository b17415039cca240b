"""Configuration that cannot be used."""

from ..errors import TidewireError

__all__ = ["ConfigError"]


class ConfigError(TidewireError):
    """A setting or a file is wrong; the message names the place (file:line or variable) and the cure."""
