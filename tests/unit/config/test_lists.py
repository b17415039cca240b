"""Several values in one variable: commas or JSON, the same for every list."""

from pathlib import Path

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings
from tidewire_gateway.settings import PREFIX, GatewaySettings


def load(**variables: str) -> GatewaySettings:
    given = {"STREAMS": "s.yaml", "DEV": "true"} | variables
    environ = {PREFIX + name: text for name, text in given.items()}
    return load_settings(GatewaySettings, environ=environ, env_file=None)


@pytest.mark.parametrize(
    "text",
    [
        "same-origin,https://app.example.org",
        " same-origin , https://app.example.org, ",
        '["same-origin", "https://app.example.org"]',
        ' ["same-origin","https://app.example.org"] ',
    ],
)
def test_origins_are_given_with_commas_or_as_json(text: str) -> None:
    assert load(ORIGINS=text).origins == ("same-origin", "https://app.example.org")


@pytest.mark.parametrize("text", ["10.0.0.0/8,::1", '["10.0.0.0/8", "::1"]'])
def test_proxies_are_given_with_commas_or_as_json(text: str) -> None:
    assert load(TRUSTED_PROXIES=text).trusted_proxies == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize("text", ["a,b.example", '["a", "b.example"]'])
def test_hosts_and_lists_within_groups_are_no_exception(text: str) -> None:
    settings = load(CONSOLE_HOSTS=text, TOKENS__KEY_FILES=text, TOKENS__ISSUER="i")
    assert settings.console_hosts == ("a", "b.example")
    assert settings.tokens.key_files == (Path("a"), Path("b.example"))


@pytest.mark.parametrize("text", ["", " ", ",", "[]"])
def test_nothing_between_commas_is_no_value(text: str) -> None:
    assert load(TRUSTED_PROXIES=text).trusted_proxies == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["10.0.0.0/8"', r"TRUSTED_PROXIES: begins like a JSON array and is none: write values"),
        ("[10.0.0.0/8]", r"TRUSTED_PROXIES: begins like a JSON array and is none: write values"),
        ('[["10.0.0.0/8"]]', r"TRUSTED_PROXIES__0: must be text"),
        ("10.0.0.0/8,proxy", r"TRUSTED_PROXIES: .*'proxy'.*; give addresses such as"),
    ],
)
def test_what_is_neither_is_named_with_the_cure(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=PREFIX + said):
        load(TRUSTED_PROXIES=text)
