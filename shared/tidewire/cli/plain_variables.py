"""What commands read from the environment that belongs to no settings model."""

from typing import Final

from ..config.settings import SECRETS_DIR_VARIABLE
from .internal_key import VARIABLE as INTERNAL_KEY_VARIABLE

__all__ = ["PLAIN_VARIABLES"]

PLAIN_VARIABLES: Final = {
    SECRETS_DIR_VARIABLE: (
        "path",
        "directory of secret files, one a variable and named like it; services read it, too",
    ),
    "TIDEWIRE_TOKEN": (
        "secret",
        "token of `tidewire tail` and `tidewire bench`; `--token` comes before it",
    ),
    INTERNAL_KEY_VARIABLE: (
        "path",
        "the services' internal key, for `tidewire nodes`, `user` and `console`; `--internal-key-file` comes before it",
    ),
}
"""Type and meaning of each."""
