import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_router.settings import PREFIX, RouterSettings


def load(**variables: str) -> RouterSettings:
    environ = {PREFIX + name: text for name, text in variables.items()}
    return load_settings(RouterSettings, environ=environ, env_file=None)


def test_what_is_not_set_has_a_default() -> None:
    settings = load()

    assert (settings.group_id, settings.instance_id) == ("tidewire-router", None)
    assert (settings.mailbox_length, settings.mailbox_limits.ttl_ms) == (1000, 86_400_000)
    assert settings.mailbox_replicas == 0
    assert settings.lookup_ttl == 5.0
    assert settings.named_kafka.client_id == "tidewire-router"


def test_durations_are_in_seconds_and_reach_what_they_are_for() -> None:
    settings = load(
        MAILBOX_TTL="60",
        MAILBOX_LENGTH="5",
        MAX_WAITING="7",
        INSTANCE_ID="router-0",
        SESSION_TIMEOUT="20",
        KAFKA__BOOTSTRAP="kafka:9092",
        KAFKA__CLIENT_ID="mine",
    )

    assert (settings.mailbox_limits.length, settings.mailbox_limits.ttl_ms) == (5, 60_000)
    assert settings.waiting_limits.max_letters == 7
    assert settings.membership.instance_id == "router-0"
    assert settings.membership.session_timeout == 20.0
    assert (settings.named_kafka.bootstrap, settings.named_kafka.client_id) == (
        "kafka:9092",
        "mine",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOOKUP_TTL", "0"),
        ("MAX_WAITING", "0"),
        ("MAILBOX_REPLICAS", "-1"),
        ("REGISTRY_URL", "registry:8082"),
        ("EPOCH", "a b"),
        ("REVOKE_TIMEOUT", "60"),
        ("LOOKUP_TLL", "5"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=PREFIX + name):
        load(**{name: text})
