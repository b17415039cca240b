"""Which tokens are accepted is told by settings that name what is wrong with them, and the cure."""

from pathlib import Path
from typing import Any

import pytest

from harness.issuer import ISSUER, make_key
from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire.http.token_check import make_token_check
from tidewire.identity.keys import ensure_key
from tidewire.identity.settings import TokenSettings
from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings

PREFIX = "TIDEWIRE_GATEWAY__"
URL = "https://issuer.example/jwks"


def load(**variables: str) -> GatewaySettings:
    environ = {
        PREFIX + name: text for name, text in ({"STREAMS": "s", "DEV": "1"} | variables).items()
    }
    return load_settings(GatewaySettings, environ=environ, env_file=None)


def check(settings: TokenSettings, key_file: Path | None = None) -> Any:
    return make_token_check(settings, key_file, PREFIX, create_metrics("gateway"))


def test_lists_are_separated_by_commas() -> None:
    tokens = load(
        TOKENS__KEY_FILES="a.pem, b.pem",
        TOKENS__AUDIENCE="one,two",
        TOKENS__ALGORITHMS="RS256,EdDSA",
        TOKENS__ISSUER=ISSUER,
    ).tokens
    assert tokens.key_files == (Path("a.pem"), Path("b.pem"))
    assert tokens.policy.audiences == ("one", "two")
    assert tokens.algorithms == ("RS256", "EdDSA")


def test_publisher_takes_the_same_settings_as_the_gateway() -> None:
    environ = {
        "TIDEWIRE_PUBLISHER__STREAMS": "s",
        "TIDEWIRE_PUBLISHER__TRUST_PROXY_TLS": "1",
        "TIDEWIRE_PUBLISHER__TOKENS__JWKS_URL": URL,
        "TIDEWIRE_PUBLISHER__TOKENS__ISSUER": ISSUER,
    }
    loaded = load_settings(PublisherSettings, environ=environ, env_file=None)
    assert loaded.tokens == load(TOKENS__JWKS_URL=URL, TOKENS__ISSUER=ISSUER).tokens


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TOKENS__JWKS_URL": URL}, "TOKENS: ISSUER is not set"),
        ({"TOKENS__KEY_FILES": "a.pem"}, "TOKENS: ISSUER is not set"),
        ({"TOKENS__JWKS_URL": "http://issuer.example/x"}, "TOKENS__JWKS_URL: must be an https URL"),
        ({"TOKENS__JWKS_URL": "file:///etc/x"}, "TOKENS__JWKS_URL: must be an https URL"),
        ({"TOKENS__JWKS_URL": "https://u:p@issuer.example/"}, "no user, password"),
        ({"TOKENS__ALGORITHMS": "none"}, "TOKENS__ALGORITHMS.* must be one of"),
        ({"TOKENS__ALGORITHMS": "RS256"}, "TOKENS__ALGORITHMS: says nothing without keys"),
        ({"TOKENS__ISSUER": "x"}, "TOKENS__ISSUER: says nothing without keys: set .*KEY_FILES"),
        ({"TOKENS__AUDIENCE": " "}, "TOKENS__AUDIENCE"),
        ({"TOKENS__LEEWAY": "301"}, "TOKENS__LEEWAY: must be at most 300"),
        ({"TOKENS__JWKS_URLS": URL}, "did you mean"),
        (
            {"TOKENS__JWKS_URL": URL, "TOKENS__ISSUER": "x", "TOKENS__ALGORITHMS": "HS256"},
            "JWKS_URL publishes keys for RS256, ES256 and EdDSA, none of which",
        ),
        (
            {"TOKENS__KEY_FILES": "a", "TOKENS__ISSUER": "x", "TOKEN_KEY_FILE": "b"},
            "TOKEN_KEY_FILE: is the simple form",
        ),
        (
            {"TOKENS__KEY_FILES": "a", "TOKENS__ISSUER": "x", "TOKENS__JWKS_CA_FILE": "b"},
            "JWKS_CA_FILE needs an https JWKS_URL",
        ),
    ],
)
def test_setting_that_cannot_be_meant_is_named_with_the_cure(
    variables: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as failure:
        load(**variables)
    assert PREFIX in str(failure.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/x"])
def test_keys_of_this_machine_need_no_tls(url: str) -> None:
    assert load(TOKENS__JWKS_URL=url, TOKENS__ISSUER="x").tokens.jwks_url == url


def test_algorithm_without_a_key_and_key_without_its_algorithm_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(make_key("ES256").pem)
    with pytest.raises(ConfigError, match=r"TOKENS__ALGORITHMS: there is no key for RS256: add"):
        check(TokenSettings(key_files=(path,), issuer="x", algorithms=("ES256", "RS256")))
    with pytest.raises(ConfigError, match=r"TOKENS__ALGORITHMS: the key a is for ES256"):
        check(TokenSettings(key_files=(path,), issuer="x", algorithms=("RS256",)))


def test_algorithms_that_have_a_key_each_are_accepted(tmp_path: Path) -> None:
    path, key_file = tmp_path / "a.pem", tmp_path / "k"
    path.write_bytes(make_key("ES256").pem)
    ensure_key(key_file)
    both = TokenSettings(key_files=(path, key_file), issuer="x", algorithms=("ES256", "HS256"))
    assert check(both).verifier._algorithms == {"ES256", "HS256"}
    with_url = TokenSettings(jwks_url=URL, issuer="x", algorithms=("RS256",))
    assert check(with_url).verifier._algorithms == {"RS256"}


def test_simple_form_accepts_tokens_for_development_or_of_an_issuer_that_is_named(
    tmp_path: Path,
) -> None:
    ensure_key(tmp_path / "k")
    assert check(TokenSettings(jwks_url=None)) is None
    assert check(TokenSettings(), tmp_path / "k").verifier._policy.issuer == "tidewire-dev"
    assert check(TokenSettings(issuer=ISSUER), tmp_path / "k").verifier._policy.issuer == ISSUER


def test_url_that_nobody_can_ask_is_named() -> None:
    with pytest.raises(ConfigError, match="not a URL that can be asked"):
        check(TokenSettings(jwks_url=f"https://{'ä' * 70}.example/", issuer="x"))


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ca\.pem: not certificates to trust"):
        check(TokenSettings(jwks_url=URL, issuer="x", jwks_ca_file=path))
