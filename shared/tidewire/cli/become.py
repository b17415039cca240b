"""Commands that become a service: its signals and its exit code are then its own."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from ..config.errors import ConfigError

__all__ = ["become"]


def become(service: str, needed: Sequence[str], arguments: Sequence[str] = ()) -> None:
    """Run ``python -m tidewire_SERVICE`` in this process's place; raises `ConfigError` where a package is missing."""
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the {service} needs what is not installed ({', '.join(missing)}): "
            "pip install 'tidewire[server]'"
        )
    command = [sys.executable, "-m", f"tidewire_{service}", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - no shell
