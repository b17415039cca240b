"""deploy/compose.yaml as it is written: services, where they can be reached, what they are given."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tidewire.cli.kafka_environment import KafkaEnvironment
from tidewire.config.settings import ServiceSettings, load_settings
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import RouterSettings

__all__ = [
    "COMPOSE",
    "DEPLOY",
    "ROOT",
    "SCHEMA",
    "SETTINGS",
    "commands_of",
    "document",
    "environment",
    "mounts",
    "ours",
    "published",
    "schema",
    "services",
    "settings_of",
]

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = DEPLOY / "compose.yaml"
SCHEMA: Final = ROOT / "tests" / "vectors" / "compose" / "compose-spec.json"
SETTINGS: Final[Mapping[str, type[ServiceSettings]]] = {
    "gateway": GatewaySettings,
    "publisher": PublisherSettings,
    "registry": RegistrySettings,
    "router": RouterSettings,
    "kafka": KafkaEnvironment,
}
"""By the word that their variables have after ``TIDEWIRE_``."""


@cache
def document() -> dict[str, Any]:
    """The file; its merge keys (``<<``) are merged."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


@cache
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def ours() -> list[str]:
    """Services that run what this checkout builds."""
    return sorted(
        name for name, service in services().items() if service["image"].endswith(":local")
    )


def environment(service: str) -> dict[str, str]:
    variables: dict[str, str] = services()[service].get("environment", {})
    return variables


def settings_of(service: str, word: str) -> ServiceSettings:
    """What a process of that kind would make of the service's environment; raises ``ConfigError``."""
    return load_settings(SETTINGS[word], environ=environment(service), env_file=None)


def commands_of(service: str) -> list[str]:
    words: list[str] = services()[service].get("command", [])
    return words


def mounts(service: str) -> Iterator[tuple[Path, str]]:
    """What of this checkout is seen where in the container."""
    described, whole = services()[service], document()
    for config in described.get("configs", ()):
        yield _path(whole["configs"][config["source"]]["file"]), config["target"]
    for secret in described.get("secrets", ()):
        named = {"source": secret, "target": secret} if isinstance(secret, str) else secret
        file = whole["secrets"][named["source"]]["file"]
        yield _path(file), f"/run/secrets/{named['target']}"
    for volume in described.get("volumes", ()):
        if isinstance(volume, dict):
            yield _path(volume["source"]), volume["target"]


def published(service: str) -> Iterator[tuple[str, int, int]]:
    """Address and port on the machine, and port in the container."""
    for port in services()[service].get("ports", ()):
        address, outside, inside = port.split(":")
        yield address, int(outside), int(inside)


def _path(written: str) -> Path:
    return (DEPLOY / written).resolve()
