"""How brokers are known and how one proves to them who one is: one model, mapped to each client's own names."""

import ssl
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from ..tls_files import show_certificate, trusting

__all__ = ["KafkaSecurity", "Mechanism", "Protocol"]

Protocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

_OAUTH = "OAUTHBEARER"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class KafkaSecurity(BaseModel):
    """Brokers' certificates are checked always, and so are the names in them.

    What contradicts itself is refused, as is a file that cannot be used; files are read again by each client that starts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Each is checked against those above it.
    protocol: Protocol = Field(default="PLAINTEXT", description="what the brokers' listener speaks")
    ca_file: Path | None = Field(
        default=None,
        description="PEM: the authorities that brokers' certificates may come from; by default the machine's",
    )
    certificate_file: Path | None = Field(
        default=None, description="PEM: our certificate, for brokers that want one"
    )
    key_password: SecretStr | None = Field(
        default=None, min_length=1, description="of a key that is encrypted"
    )
    key_file: Path | None = Field(
        default=None, validate_default=True, description="PEM: the certificate's key"
    )
    mechanism: Mechanism | None = Field(
        default=None, validate_default=True, description="with SASL: how we prove who we are"
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        validate_default=True,
        description="with SASL: who we are; the client's id for `OAUTHBEARER`",
    )
    password: SecretStr | None = Field(
        default=None,
        min_length=1,
        validate_default=True,
        description="with SASL: the password; the client's secret for `OAUTHBEARER`",
    )
    token_url: str | None = Field(
        default=None,
        validate_default=True,
        description="for `OAUTHBEARER`: where the client's id and secret are given for a token (client credentials, HTTP Basic); "
        "`https`, but for this machine. No proxy is asked and no redirect followed",
    )
    token_scope: str | None = Field(
        default=None, min_length=1, description="for `OAUTHBEARER`: the scope that is asked for"
    )
    token_ca_file: Path | None = Field(default=None, description="as `CA_FILE`, for `TOKEN_URL`")

    @field_validator("ca_file", "certificate_file", "token_ca_file")
    @classmethod
    def _is_a_file(cls, path: Path | None, told: ValidationInfo) -> Path | None:
        if path is None:
            return None
        if told.field_name == "token_ca_file":
            _only_for_oauth(told)
        else:
            _only_for_tls(told)
        trusting(path)
        return path

    @field_validator("key_file")
    @classmethod
    def _belongs_to_the_certificate(cls, key: Path | None, told: ValidationInfo) -> Path | None:
        certificate = told.data.get("certificate_file")
        if key is None:
            if certificate is not None:
                raise ValueError("is not set; name the key of CERTIFICATE_FILE")
            if told.data.get("key_password") is not None:
                raise ValueError("is not set; name the key that KEY_PASSWORD opens, or drop that")
            return None
        _only_for_tls(told)
        if certificate is not None:
            show_certificate(trusting(None), certificate, key, _open(told.data.get("key_password")))
        elif "certificate_file" in told.data:
            raise ValueError("is set without a certificate; name it by CERTIFICATE_FILE, too")
        return key

    @field_validator("mechanism", "username", "password")
    @classmethod
    def _is_for_sasl(cls, given: Any, told: ValidationInfo) -> Any:
        protocol = told.data.get("protocol")
        if protocol is None:
            return given
        if given is None and protocol.startswith("SASL"):
            raise ValueError(
                f"is not set; PROTOCOL {protocol} needs it: set it, or another PROTOCOL"
            )
        if given is not None and not protocol.startswith("SASL"):
            raise ValueError(
                f"is of no use with PROTOCOL {protocol}: set PROTOCOL to SASL_SSL, or leave this out"
            )
        return given

    @field_validator("token_url")
    @classmethod
    def _is_for_oauth(cls, url: str | None, told: ValidationInfo) -> str | None:
        if url is None:
            if told.data.get("mechanism") == _OAUTH:
                raise ValueError("is not set; MECHANISM OAUTHBEARER gets its tokens there")
            return None
        _only_for_oauth(told)
        parts = urlsplit(url)
        is_here = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_here) or "@" in parts.netloc:
            raise ValueError(
                "must be an https URL without credentials, such as https://login.example/oauth2/token"
            )
        return url

    @field_validator("token_scope")
    @classmethod
    def _is_a_scope_for_oauth(cls, scope: str | None, told: ValidationInfo) -> str | None:
        if scope is not None:
            _only_for_oauth(told)
        return scope

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to be refused for."""
        return self.protocol == "PLAINTEXT"

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of aiokafka's clients and connections, but for `oauth.token_source`. Reads the files."""
        if self.is_plain:
            return {}
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.mechanism is not None:
            arguments["sasl_mechanism"] = self.mechanism
            if self.mechanism != _OAUTH:
                arguments["sasl_plain_username"] = self.username
                arguments["sasl_plain_password"] = _open(self.password)
        return arguments

    def librdkafka(self) -> dict[str, Any]:
        """Properties of every librdkafka handle."""
        if self.is_plain:
            return {}
        properties: dict[str, Any] = {"security.protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            properties |= {
                "enable.ssl.certificate.verification": True,
                "ssl.endpoint.identification.algorithm": "https",
                "ssl.ca.location": str(self.ca_file or "probe"),
            }
            if self.certificate_file is not None:
                properties["ssl.certificate.location"] = str(self.certificate_file)
                properties["ssl.key.location"] = str(self.key_file)
            if self.key_password is not None:
                properties["ssl.key.password"] = _open(self.key_password)
        if self.mechanism is not None:
            properties["sasl.mechanism"] = self.mechanism
            properties |= self._librdkafka_credentials()
        return properties

    def _librdkafka_credentials(self) -> dict[str, Any]:
        if self.mechanism != _OAUTH:
            return {"sasl.username": self.username, "sasl.password": _open(self.password)}
        credentials = {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": self.username,
            "sasl.oauthbearer.client.secret": _open(self.password),
            "sasl.oauthbearer.token.endpoint.url": self.token_url,
            "https.ca.location": str(self.token_ca_file or "probe"),
        }
        if self.token_scope is not None:
            credentials["sasl.oauthbearer.scope"] = self.token_scope
        return credentials

    def _ssl_context(self) -> ssl.SSLContext:
        context = trusting(self.ca_file)
        if self.certificate_file is not None and self.key_file is not None:
            show_certificate(
                context, self.certificate_file, self.key_file, _open(self.key_password)
            )
        return context


def _only_for_tls(told: ValidationInfo) -> None:
    protocol = told.data.get("protocol")
    if protocol is not None and not protocol.endswith("SSL"):
        raise ValueError(
            f"is of no use with PROTOCOL {protocol}: set PROTOCOL to SSL or SASL_SSL, or leave this out"
        )


def _only_for_oauth(told: ValidationInfo) -> None:
    if "mechanism" in told.data and told.data["mechanism"] != _OAUTH:
        raise ValueError("is of no use without MECHANISM OAUTHBEARER: set that, or leave this out")


def _open(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
