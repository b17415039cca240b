from pathlib import Path

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_publisher.settings import PREFIX, PublisherSettings

ROOT = Path(__file__).parents[3]


def load(**variables: str) -> PublisherSettings:
    environ = {PREFIX + name: text for name, text in variables.items()}
    return load_settings(PublisherSettings, environ=environ, env_file=None)


def test_development_mode_listens_on_loopback_only() -> None:
    assert load(STREAMS="s", DEV="1", HOST="::1").host == "::1"
    with pytest.raises(ConfigError, match=f"^{PREFIX}HOST: development mode .* 127.0.0.1"):
        load(STREAMS="s", DEV="1", HOST="0.0.0.0")


def test_outside_development_mode_a_key_is_needed() -> None:
    with pytest.raises(ConfigError, match=f"^{PREFIX}TOKEN_KEY_FILE: is not set"):
        load(STREAMS="s")
    served = load(STREAMS="s", TOKEN_KEY_FILE="k", HOST="0.0.0.0", TRUST_PROXY_TLS="1")
    assert served.token_key_file == Path("k")


def test_a_bound_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ConfigError, match="MAX_PENDING_BYTES: must be at least"):
        load(STREAMS="s", DEV="1", MAX_PENDING_BYTES="10")


@pytest.mark.parametrize("url", ["", "registry:8082", "redis://x", "http://", "http://x:99999"])
def test_a_registry_that_is_no_address_is_refused_with_the_cure(url: str) -> None:
    with pytest.raises(ConfigError, match=f"^{PREFIX}REGISTRY_URL: must be .* http://127.0.0.1:"):
        load(STREAMS="s", DEV="1", REGISTRY_URL=url)
    assert load(STREAMS="s", DEV="1").registry_url is None
    assert load(STREAMS="s", DEV="1", REGISTRY_URL="https://r/x").registry_url == "https://r/x"


def test_the_broker_sees_the_services_name() -> None:
    assert load(STREAMS="s", DEV="1", KAFKA__BOOTSTRAP="k:1").named_kafka.client_id == (
        "tidewire-publisher"
    )
    assert load(STREAMS="s", DEV="1", KAFKA__CLIENT_ID="mine").named_kafka.client_id == "mine"
