"""What a service that clients reach must be told of TLS before it starts."""

import pytest

from tidewire.config.errors import ConfigError
from tidewire.config.settings import ServiceSettings, load_settings, redacted
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings

CERTIFICATE = {"TLS__CERTIFICATE_FILE": "c.pem", "TLS__KEY_FILE": "k.pem"}


@pytest.fixture(params=[GatewaySettings, PublisherSettings])
def service(request: pytest.FixtureRequest) -> type[GatewaySettings | PublisherSettings]:
    found: type[GatewaySettings | PublisherSettings] = request.param
    return found


def prefix_of(service: type[ServiceSettings]) -> str:
    return str(service.model_config.get("env_prefix"))


def load(
    service: type[GatewaySettings | PublisherSettings], **variables: str
) -> GatewaySettings | PublisherSettings:
    given = {"STREAMS": "s.yaml", "TOKEN_KEY_FILE": "t.key"} | variables
    environ = {prefix_of(service) + name: text for name, text in given.items()}
    return load_settings(service, environ=environ, env_file=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_plain_text_outside_development_is_refused_with_every_cure(
    service: type[GatewaySettings | PublisherSettings], host: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(service, HOST=host)
    prefix = prefix_of(service)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{prefix}TLS__CERTIFICATE_FILE: is not set")
    for cure in ("TLS__KEY_FILE", "TRUST_PROXY_TLS=true", "DEV=true"):
        assert prefix + cure in line


@pytest.mark.parametrize(
    "variables",
    [{"TRUST_PROXY_TLS": "true"}, {"DEV": "true"}, CERTIFICATE, {**CERTIFICATE, "DEV": "true"}],
)
def test_service_starts_with_tls_behind_a_proxy_or_in_development(
    service: type[GatewaySettings | PublisherSettings], variables: dict[str, str]
) -> None:
    assert load(service, **variables).tls.is_on == ("TLS__KEY_FILE" in variables)


@pytest.mark.parametrize("is_dev", ["true", "false"])
@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TLS__CERTIFICATE_FILE": "c.pem"}, "TLS__KEY_FILE: is not set"),
        ({"TLS__KEY_FILE": "k.pem"}, "TLS__CERTIFICATE_FILE: is not set, and a key alone"),
        ({"TLS__KEY_PASSWORD": "p"}, "TLS__CERTIFICATE_FILE: is not set, and a key alone"),
        ({**CERTIFICATE, "TRUST_PROXY_TLS": "true"}, "TRUST_PROXY_TLS: plain text"),
        ({**CERTIFICATE, "TLS__RELOAD_INTERVAL": "0"}, "TLS__RELOAD_INTERVAL: must be more"),
        ({**CERTIFICATE, "TLS__KEY": "k"}, "TLS__KEY: unknown setting; did you mean"),
    ],
)
def test_half_of_tls_is_refused_and_named(
    service: type[GatewaySettings | PublisherSettings],
    variables: dict[str, str],
    named: str,
    is_dev: str,
) -> None:
    with pytest.raises(ConfigError, match=f"^{prefix_of(service)}{named}"):
        load(service, DEV=is_dev, **variables)


def test_password_of_the_key_is_shown_to_nobody(
    service: type[GatewaySettings | PublisherSettings],
) -> None:
    settings = load(service, **CERTIFICATE, TLS__KEY_PASSWORD="hush")
    assert settings.tls.key_password is not None
    assert settings.tls.key_password.get_secret_value() == "hush"
    for shown in (repr(settings), str(settings.tls.model_dump()), str(redacted(settings))):
        assert "hush" not in shown
