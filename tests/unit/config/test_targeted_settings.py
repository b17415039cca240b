"""Settings of the parts of targeted delivery: documented, and refused with the cure."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_gateway.settings import GatewaySettings, TargetedSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import RouterSettings

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(title)[2].partition("\n### ")[0]


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        (RegistrySettings, "### Registry"),
        (RouterSettings, "### Router"),
        (TargetedSettings, "Messages to users ([targeted.md](targeted.md))"),
    ],
)
def test_the_documentation_tells_every_setting_and_its_default(
    settings: type[BaseModel], title: str
) -> None:
    told = section(title)
    for name, field in settings.model_fields.items():
        assert f"`{name.upper()}" in told, name
        default: Any = field.default
        if isinstance(default, str):
            assert f"`{default}`" in told, name
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert f"`{default:g}`" in told or f"`{default:.0f}`" in told, name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TARGETED__REDIS_URL": "redis://r"}, "TARGETED__REGISTRY_URL: is not set"),
        ({"TARGETED__REGISTRY_URL": "http://r"}, "TARGETED__REDIS_URL: is not set"),
        ({"TARGETED__REGISTRY_URL": "ftp://r"}, "TARGETED__REGISTRY_URL"),
    ],
)
def test_half_of_what_messages_to_users_need_is_refused(given: dict[str, str], said: str) -> None:
    environment = {f"TIDEWIRE_GATEWAY__{name}": value for name, value in given.items()}
    environment |= {"TIDEWIRE_GATEWAY__STREAMS": "s.yaml", "TIDEWIRE_GATEWAY__DEV": "true"}
    with pytest.raises(ConfigError, match=said):
        load_settings(GatewaySettings, environ=environment, env_file=None)
