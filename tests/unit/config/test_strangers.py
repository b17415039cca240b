"""Variables that look like ours and are nobody's."""

import pytest

from tidewire.config.strangers import strangers

PREFIXES = ("TIDEWIRE_GATEWAY__", "TIDEWIRE_KAFKA__")
KNOWN = ("TIDEWIRE_GATEWAY__PORT", "TIDEWIRE_KAFKA__BOOTSTRAP", "TIDEWIRE_SECRETS_DIR")


def told(**variables: str) -> list[str]:
    given = {name.lower(): text for name, text in variables.items()}
    return strangers(given, PREFIXES, KNOWN)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIDEWIRE_GATEWY__PORT", "TIDEWIRE_GATEWAY__PORT"),
        ("TIDEWIRE_GATEWAY_PORT", "TIDEWIRE_GATEWAY__PORT"),
        ("TIDEWIRE_SECRET_DIR", "TIDEWIRE_SECRETS_DIR"),
        ("TIDEWIRE_KAFKA_BOOTSTRAP", "TIDEWIRE_KAFKA__BOOTSTRAP"),
    ],
)
def test_a_typo_is_told_with_what_was_meant(name: str, meant: str) -> None:
    assert told(**{name: "8080"}) == [f"{name}: nothing reads it; did you mean {meant!r}?"]


def test_what_is_like_nothing_is_told_where_all_there_is_stands() -> None:
    assert told(TIDEWIRE_XYZ="1") == [
        "TIDEWIRE_XYZ: nothing reads it; docs/settings.md lists what is read"
    ]


@pytest.mark.parametrize(
    "name", ["TIDEWIRE_SECRETS_DIR", "tidewire_secrets_dir", "PATH", "TIDEWIRE", "MY_TIDEWIRE_X"]
)
def test_what_is_known_or_not_ours_is_left_alone(name: str) -> None:
    assert told(**{name: "x"}) == []


def test_what_has_a_services_prefix_is_that_services_to_judge() -> None:
    assert told(TIDEWIRE_GATEWAY__PROT="1") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TIDEWIRE_GATEWAY_SERVICE_HOST", "10.96.0.7"),
        ("TIDEWIRE_GATEWAY_SERVICE_PORT", "8080"),
        ("TIDEWIRE_GATEWAY_SERVICE_PORT_WS", "8080"),
        ("TIDEWIRE_GATEWAY_PORT", "tcp://10.96.0.7:8080"),
        ("TIDEWIRE_GATEWAY_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
        ("TIDEWIRE_GATEWAY_PORT_8080_TCP_ADDR", "10.96.0.7"),
    ],
)
def test_what_kubernetes_makes_of_a_services_name_is_no_typo(name: str, text: str) -> None:
    assert told(**{name: text}) == []
