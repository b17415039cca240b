import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_registry.settings import PREFIX, RegistrySettings


def load(**variables: str) -> RegistrySettings:
    environ = {PREFIX + name: text for name, text in variables.items()}
    return load_settings(RegistrySettings, environ=environ, env_file=None)


def test_without_any_setting_it_listens_on_loopback() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.slots) == ("127.0.0.1", 8082, 16)
    assert settings.rules.lease_ms == 10_000


def test_durations_are_seconds() -> None:
    rules = load(LEASE="0.5", FREEZE="2", SLOTS="4").rules
    assert (rules.lease_ms, rules.freeze_ms, rules.slots) == (500, 2000, 4)


def test_development_mode_listens_on_loopback_only() -> None:
    assert load(HOST="0.0.0.0", INTERNAL_KEY_FILE="k").host == "0.0.0.0"
    with pytest.raises(ConfigError, match=f"^{PREFIX}HOST: development mode .* 127.0.0.1"):
        load(DEV="1", HOST="0.0.0.0")


def test_a_registry_without_slots_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"^{PREFIX}SLOTS: must be at least 1"):
        load(SLOTS="0")
