"""Settings of the parts of targeted delivery are refused with the cure."""

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_gateway.settings import GatewaySettings


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
