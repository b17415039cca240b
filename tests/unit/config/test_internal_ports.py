"""An internal port that other machines reach asks for a key, or does not start."""

from pathlib import Path

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import ServiceSettings, load_settings
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import RouterSettings

PORTS = [
    (GatewaySettings, "INTERNAL_HOST"),
    (RegistrySettings, "HOST"),
    (RouterSettings, "INTERNAL_HOST"),
]


def prefix(settings: type[ServiceSettings]) -> str:
    return settings.model_config["env_prefix"]


def load(settings: type[ServiceSettings], **variables: str) -> ServiceSettings:
    needed = {"STREAMS": "s.yaml", "TRUST_PROXY_TLS": "true"}
    given = {name: text for name, text in needed.items() if name.lower() in settings.model_fields}
    environ = {prefix(settings) + name: text for name, text in (given | variables).items()}
    return load_settings(settings, environ=environ, env_file=None)


@pytest.mark.parametrize(("settings", "host"), PORTS)
def test_internal_port_is_on_loopback_unless_told(
    settings: type[ServiceSettings], host: str
) -> None:
    assert getattr(load(settings), host.lower()) == "127.0.0.1"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.7", "registry.example"])
@pytest.mark.parametrize(("settings", "host"), PORTS)
def test_port_that_others_reach_needs_a_key(
    settings: type[ServiceSettings], host: str, address: str
) -> None:
    own = prefix(settings)
    with pytest.raises(ConfigError) as refused:
        load(settings, **{host: address})
    told = str(refused.value)
    assert told.startswith(f"{own}{host}: {address!r} ")
    assert f"{own}INTERNAL_KEY_FILE is not set" in told
    assert "openssl rand -hex 32" in told
    assert f"{own}{host}=127.0.0.1" in told
    load(settings, **{host: address, "INTERNAL_KEY_FILE": "internal.key"})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
@pytest.mark.parametrize(("settings", "host"), PORTS)
def test_port_on_loopback_needs_none(
    settings: type[ServiceSettings], host: str, address: str
) -> None:
    load(settings, **{host: address})


def test_publisher_has_a_key_to_show_and_no_internal_port() -> None:
    settings = load(PublisherSettings, HOST="0.0.0.0", TOKEN_KEY_FILE="k", INTERNAL_KEY_FILE="i")
    assert isinstance(settings, PublisherSettings)
    assert settings.internal_key_file == Path("i")
