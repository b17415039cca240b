"""Security means the same to both clients, and what contradicts itself is told with its cure."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.authority import Authority, make_authority
from tidewire.config.errors import ConfigError
from tidewire.config.settings import load_settings, redacted
from tidewire.kafka.security import KafkaSecurity
from tidewire.kafka.settings import KafkaSettings
from tidewire_router.settings import RouterSettings

SECURITY = "TIDEWIRE_ROUTER__KAFKA__SECURITY__"
SASL = {"PROTOCOL": "SASL_SSL", "MECHANISM": "PLAIN", "USERNAME": "tide", "PASSWORD": "hush"}
OAUTH = {**SASL, "MECHANISM": "OAUTHBEARER", "TOKEN_URL": "https://login.example/token"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(authority: Authority) -> dict[str, str]:
    """Names of files, by what stands in them."""
    mine, other = authority.issue("mine"), authority.issue("other")
    locked = authority.locked("locked", "open sesame")
    return {
        "CA": str(authority.certificate),
        "MINE": str(mine.certificate),
        "KEY": str(mine.key),
        "OTHER_KEY": str(other.key),
        "LOCKED": str(locked.certificate),
        "LOCKED_KEY": str(locked.key),
    }


def load(given: dict[str, str], secrets: Path | None = None) -> RouterSettings:
    environ = {SECURITY + name: text for name, text in given.items()}
    if secrets is not None:
        environ["TIDEWIRE_SECRETS_DIR"] = str(secrets)
    return load_settings(RouterSettings, environ=environ, env_file=None)


def problems_of(given: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(given)
    assert "hush" not in str(caught.value)
    return [line.removeprefix(SECURITY) for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    "given",
    [{"password": "hush"}, {"protocol": "SSL", "key_password": ["hush"]}, {"passwort": "hush"}],
)
def test_error_of_who_makes_settings_in_a_program_shows_no_password(given: dict[str, Any]) -> None:
    for make in (
        lambda: KafkaSecurity(**given),
        lambda: KafkaSettings.model_validate({"security": given}),
    ):
        with pytest.raises(ValidationError) as refused:
            make()
        assert "hush" not in f"{refused.value} {refused.value!r}"


def test_nothing_is_said_of_security_to_plain_brokers() -> None:
    settings = KafkaSettings()
    assert not any("ssl" in name or "sasl" in name for name in settings.librdkafka_common())
    assert "security.protocol" not in settings.librdkafka_common()
    assert "security_protocol" not in settings.aiokafka_common()


def test_both_clients_check_certificates_and_the_names_in_them(authority: Authority) -> None:
    settings = KafkaSettings(security=KafkaSecurity(protocol="SSL", ca_file=authority.certificate))
    context: ssl.SSLContext = settings.aiokafka_common()["ssl_context"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "authority"),),)]
    properties = settings.librdkafka_common()
    assert properties["security.protocol"] == "SSL"
    assert properties["ssl.endpoint.identification.algorithm"] == "https"
    assert properties["enable.ssl.certificate.verification"] is True
    assert properties["ssl.ca.location"] == str(authority.certificate)


def test_without_an_authority_both_clients_trust_those_of_the_machine() -> None:
    settings = KafkaSecurity(protocol="SSL")
    assert settings.librdkafka()["ssl.ca.location"] == "probe"
    assert settings.aiokafka()["ssl_context"].verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_both_clients_are_told_user_and_password(mechanism: str) -> None:
    kafka = load({**SASL, "MECHANISM": mechanism}).named_kafka
    properties, arguments = kafka.librdkafka_producer(), kafka.aiokafka_producer()
    assert properties["security.protocol"] == arguments["security_protocol"] == "SASL_SSL"
    assert properties["sasl.mechanism"] == arguments["sasl_mechanism"] == mechanism
    assert properties["sasl.username"] == arguments["sasl_plain_username"] == "tide"
    assert properties["sasl.password"] == arguments["sasl_plain_password"] == "hush"


def test_librdkafka_gets_its_tokens_itself(files: dict[str, str]) -> None:
    more = {"TOKEN_SCOPE": "kafka", "TOKEN_CA_FILE": files["CA"]}
    properties = load({**OAUTH, **more}).kafka.librdkafka_common()
    assert {name: properties[name] for name in properties if "oauth" in name or "http" in name} == {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "tide",
        "sasl.oauthbearer.client.secret": "hush",
        "sasl.oauthbearer.token.endpoint.url": "https://login.example/token",
        "sasl.oauthbearer.scope": "kafka",
        "https.ca.location": files["CA"],
    }


def test_a_password_may_come_as_a_secret_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / f"{SECURITY}PASSWORD").write_text("hush\n")
    given = {name: text for name, text in SASL.items() if name != "PASSWORD"}
    settings = load(given, tmp_path)
    assert settings.kafka.librdkafka_common()["sasl.password"] == "hush"
    shown = redacted(settings)["kafka"]["security"]
    assert (shown["username"], shown["password"]) == ("tide", "**********")
    assert "hush" not in repr(settings) + repr(redacted(settings)) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PROTOCOL": "TLS"}, "PROTOCOL: must be one of 'PLAINTEXT', 'SSL'"),
        ({**SASL, "MECHANISM": "GSSAPI"}, "MECHANISM: must be one of 'PLAIN', 'SCRAM"),
        ({"PROTOCOL": "SASL_SSL", "USERNAME": "a", "PASSWORD": "hush"}, "MECHANISM: is not set"),
        ({**SASL, "PROTOCOL": "SSL"}, "MECHANISM: is of no use with PROTOCOL SSL: set PROTOCOL to"),
        ({"PASSWORD": "hush"}, "PASSWORD: is of no use with PROTOCOL PLAINTEXT: set PROTOCOL to"),
        ({**SASL, "USERNAME": ""}, "USERNAME: must not be shorter"),
        ({"CA_FILE": "CA"}, "CA_FILE: is of no use with PROTOCOL PLAINTEXT: set PROTOCOL to SSL"),
        ({"PROTOCOL": "SASL_PLAINTEXT", "CA_FILE": "CA"}, "CA_FILE: is of no use with PROTOCOL"),
        ({"PROTOCOL": "SSL", "CA_FILE": "/no/ca.pem"}, "CA_FILE: /no/ca.pem cannot be read (No su"),
        ({"PROTOCOL": "SSL", "CA_FILE": "KEY"}, "CA_FILE: {KEY} holds no certificate: name a PEM"),
        ({"PROTOCOL": "SSL", "CERTIFICATE_FILE": "MINE"}, "KEY_FILE: is not set; name the key of"),
        ({"PROTOCOL": "SSL", "KEY_FILE": "KEY"}, "KEY_FILE: is set without a certificate; name it"),
        ({"PROTOCOL": "SSL", "KEY_PASSWORD": "hush"}, "KEY_FILE: is not set; name the key that"),
        (
            {"PROTOCOL": "SSL", "CERTIFICATE_FILE": "MINE", "KEY_FILE": "OTHER_KEY"},
            "KEY_FILE: {OTHER_KEY} is not the PEM key of the certificate in {MINE}",
        ),
        (
            {"PROTOCOL": "SSL", "CERTIFICATE_FILE": "LOCKED", "KEY_FILE": "LOCKED_KEY"},
            "KEY_FILE: {LOCKED_KEY} is not the PEM key of the certificate in {LOCKED}; or has it a pass",
        ),
        (
            {
                "PROTOCOL": "SSL",
                "CERTIFICATE_FILE": "LOCKED",
                "KEY_FILE": "LOCKED_KEY",
                "KEY_PASSWORD": "hush",
            },
            "KEY_FILE: {LOCKED_KEY} is not the PEM key of the certificate in {LOCKED}; is its password",
        ),
        ({**SASL, "MECHANISM": "OAUTHBEARER"}, "TOKEN_URL: is not set; MECHANISM OAUTHBEARER gets"),
        ({**SASL, "TOKEN_URL": "https://a/t"}, "TOKEN_URL: is of no use without MECHANISM OAUTHB"),
        ({**SASL, "TOKEN_SCOPE": "a"}, "TOKEN_SCOPE: is of no use without MECHANISM OAUTHBEARER"),
        ({**SASL, "TOKEN_CA_FILE": "CA"}, "TOKEN_CA_FILE: is of no use without MECHANISM OAUTHB"),
        ({**OAUTH, "TOKEN_URL": "http://login.example/"}, "TOKEN_URL: must be an https URL"),
        ({**OAUTH, "TOKEN_URL": "https://a:hush@login.example/"}, "TOKEN_URL: must be an https"),
        ({"PASWORD": "hush"}, "PASWORD: unknown setting; did you mean"),
    ],
)
def test_what_contradicts_itself_or_cannot_be_used_is_named_with_its_cure(
    files: dict[str, str], given: dict[str, str], told: str
) -> None:
    problems = problems_of({name: files.get(text, text) for name, text in given.items()})
    assert any(problem.startswith(told.format(**files)) for problem in problems), problems


def test_all_that_sasl_lacks_is_named_at_once() -> None:
    problems = problems_of({"PROTOCOL": "SASL_SSL"})
    assert [problem.partition(":")[0] for problem in problems] == [
        "MECHANISM",
        "USERNAME",
        "PASSWORD",
    ]


def test_a_locked_key_is_opened_by_its_password(files: dict[str, str]) -> None:
    names = {"CERTIFICATE_FILE": files["LOCKED"], "KEY_FILE": files["LOCKED_KEY"]}
    kafka = load({"PROTOCOL": "SSL", **names, "KEY_PASSWORD": "open sesame"}).kafka
    properties: dict[str, Any] = kafka.librdkafka_common()
    assert properties["ssl.key.password"] == "open sesame"
    assert properties["ssl.key.location"] == files["LOCKED_KEY"]
    assert kafka.aiokafka_common()["ssl_context"] is not None
