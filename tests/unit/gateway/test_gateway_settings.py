"""Bad settings of the gateway are refused with the cure."""

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.settings import GatewaySettings, LimitSettings


def test_defaults_are_those_of_the_protocol() -> None:
    assert LimitSettings().to_limits() == Limits()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "99999", "TIDEWIRE_GATEWAY__PORT"),
        ("LIMITS__PING_INTERVAL", "0", "TIDEWIRE_GATEWAY__LIMITS__PING_INTERVAL"),
        ("PROT", "1", "did you mean"),
        ("STATIC", "[", "must be JSON"),
        ("ORIGINS", '["https://app.example.org/"]', "TIDEWIRE_GATEWAY__ORIGINS"),
        ("ORIGINS", '["app.example.org"]', r"write it as in \"https://app.example.org\""),
        ("TRUSTED_PROXIES", '["10.0.0.1/8"]', r"has host bits set; give addresses such as"),
        ("TRUSTED_PROXIES", '["proxy"]', "TIDEWIRE_GATEWAY__TRUSTED_PROXIES"),
        ("LIMITS__MAX_CHANNEL", "256", "TIDEWIRE_GATEWAY__LIMITS__MAX_CHANNEL"),
        ("LIMITS__HANDSHAKES_BURST", "0", "TIDEWIRE_GATEWAY__LIMITS__HANDSHAKES_BURST"),
    ],
)
def test_bad_setting_is_named(name: str, value: str, said: str) -> None:
    environ = {
        "TIDEWIRE_GATEWAY__STREAMS": "s.yaml",
        "TIDEWIRE_GATEWAY__DEV": "true",
        f"TIDEWIRE_GATEWAY__{name}": value,
    }
    with pytest.raises(ConfigError, match=said):
        load_settings(GatewaySettings, environ=environ, env_file=None)


def test_development_mode_does_not_listen_beyond_this_machine() -> None:
    environ = {
        "TIDEWIRE_GATEWAY__STREAMS": "s.yaml",
        "TIDEWIRE_GATEWAY__DEV": "true",
        "TIDEWIRE_GATEWAY__HOST": "0.0.0.0",
    }
    with pytest.raises(ConfigError, match="loopback only"):
        load_settings(GatewaySettings, environ=environ, env_file=None)
