"""The services' settings models, which the library must not import: by name, when a command asks for one."""

from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING

from ..config.errors import ConfigError

if TYPE_CHECKING:
    from ..config.settings import ServiceSettings

__all__ = ["Service", "settings_of"]


class Service(StrEnum):
    GATEWAY = "gateway"
    PUBLISHER = "publisher"
    REGISTRY = "registry"
    ROUTER = "router"

    @property
    def prefix(self) -> str:
        """What its variables begin with."""
        return f"TIDEWIRE_{self.upper()}__"


def settings_of(service: Service) -> "type[ServiceSettings]":
    """The model; raises ``ConfigError`` where what it needs is not installed."""
    try:
        module = import_module(f"tidewire_{service}.settings")
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"the {service}'s settings need what is not installed ({e.name}): "
            "pip install 'tidewire[server]'"
        ) from None
    found: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    return found
